#include "net/tls.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>

#include "net/tls_context.hpp"

namespace millrace {

namespace {

namespace ssl = boost::asio::ssl;

Result<std::shared_ptr<TlsContext>> make_base() {
  auto tls = std::make_shared<TlsContext>();
  SSL_CTX* native = tls->context.native_handle();
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                  SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_security_level(native, 2);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  const bool set = SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
                   SSL_CTX_set1_groups_list(native, "X25519:P-256") == 1 &&
                   SSL_CTX_set_num_tickets(native, 0) == 1;
  if (!set) return fail(Errc::tls, "OpenSSL refuses the TLS settings; is it older than 3.0?");
  return tls;
}

Result<void> use_certificate(ssl::context& context, const std::string& certificate,
                             const std::string& key) {
  boost::system::error_code error;
  context.use_certificate_chain_file(certificate, error);
  if (error) {
    return fail(Errc::tls, fmt::format("the certificate file {} cannot be used: {}", certificate,
                                       error.message()));
  }
  context.use_private_key_file(key, ssl::context::pem, error);
  if (error) {
    return fail(Errc::tls,
                fmt::format("the key file {} cannot be used, or is not the key of {}: {}", key,
                            certificate, error.message()));
  }
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    return fail(Errc::tls, fmt::format("{} is not the key of {}", key, certificate));
  }
  return {};
}

Result<void> trust(ssl::context& context, const std::string& ca_file) {
  boost::system::error_code error;
  if (ca_file.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(ca_file, error);
  }
  if (error) {
    return fail(Errc::tls,
                fmt::format("the authorities in {} cannot be read: {}",
                            ca_file.empty() ? "the system's store" : ca_file, error.message()));
  }
  return {};
}

Result<X509*> read_certificate(const std::string& path) {
  const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(path.c_str(), "r"), &BIO_free);
  X509* certificate = file ? PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr) : nullptr;
  if (certificate != nullptr) return certificate;
  return fail(Errc::tls, fmt::format("there is no certificate in {}", path));
}

// Takes the place of the whole verification: the peer is who has this very certificate.
int is_pinned(X509_STORE_CTX* presented, void* pinned) {
  const X509* certificate = X509_STORE_CTX_get0_cert(presented);
  if (certificate != nullptr && X509_cmp(certificate, static_cast<X509*>(pinned)) == 0) return 1;
  X509_STORE_CTX_set_error(presented, X509_V_ERR_CERT_UNTRUSTED);
  return 0;
}

}  // namespace

Result<TlsContextPtr> make_tls_server_context(const TlsServerOptions& options) {
  MILLRACE_TRY(tls, make_base());
  MILLRACE_CHECK_OK(use_certificate(tls->context, options.certificate_file, options.key_file));
  if (!options.client_ca_file.empty()) {
    MILLRACE_CHECK_OK(trust(tls->context, options.client_ca_file));
    SSL_CTX_set_verify(tls->context.native_handle(),
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return tls;
}

Result<TlsContextPtr> make_tls_client_context(const TlsClientOptions& options) {
  MILLRACE_TRY(tls, make_base());
  if (options.pinned_file.empty()) {
    MILLRACE_CHECK_OK(trust(tls->context, options.ca_file));
  } else {
    MILLRACE_TRY(pinned, read_certificate(options.pinned_file));
    tls->pinned.reset(pinned);
    SSL_CTX_set_cert_verify_callback(tls->context.native_handle(), is_pinned, pinned);
  }
  // There is no switch that turns this off.
  SSL_CTX_set_verify(tls->context.native_handle(), SSL_VERIFY_PEER, nullptr);
  if (!options.certificate_file.empty()) {
    MILLRACE_CHECK_OK(use_certificate(tls->context, options.certificate_file, options.key_file));
  }
  return tls;
}

WallTime certificate_ends_at(const TlsContextPtr& context) {
  const X509* certificate = SSL_CTX_get0_certificate(context->context.native_handle());
  std::tm ends{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &ends) != 1) {
    return {};
  }
  return WallTime(seconds(timegm(&ends)));
}

}  // namespace millrace
