#include "net/tls.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>

#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "net_test_support.hpp"

namespace millrace {
namespace {

using testing_net::RawConnection;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

struct Identity {
  Key key;
  Certificate certificate;
};

void add_extension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// `issuer` null: self-signed. `names` as in subjectAltName; empty: an authority.
Identity make_identity(const char* name, const Identity* issuer, const char* names,
                       long from_seconds, long until_seconds) {
  static long serial = 1;
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until_seconds);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509* issued_by = issuer ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(issued_by));
  const std::string_view san = names;
  add_extension(certificate, issued_by, NID_basic_constraints,
                san.empty() ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!san.empty()) add_extension(certificate, issued_by, NID_subject_alt_name, names);
  X509_sign(certificate, issuer ? issuer->key.get() : made.key.get(), EVP_sha256());
  return made;
}

constexpr long kHour = 3600;

class TlsTest : public ::testing::Test {
 protected:
  ~TlsTest() override {
    if (server_) server_->stop(milliseconds(0));
    server_.reset();
    shards_.stop(seconds(5));
    client_.reset();
  }

  /// Writes both as PEM; returns the options that name them.
  TlsServerOptions save(const std::string& name, const Identity& identity) {
    TlsServerOptions files;
    files.certificate_file = files_.path(name + ".pem");
    files.key_file = files_.path(name + ".key");
    FILE* file = std::fopen(files.certificate_file.c_str(), "w");
    PEM_write_X509(file, identity.certificate.get());
    std::fclose(file);
    file = std::fopen(files.key_file.c_str(), "w");
    PEM_write_PrivateKey(file, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    return files;
  }

  static Awaitable<HttpResponse> answer(IncomingRequest request) {
    HttpResponse response;
    response.body = (request.tls ? "tls " : "plain ") + request.target + " " +
                    std::to_string(request.body.size());
    co_return response;
  }

  void serve(const TlsServerOptions& files, HttpServerOptions options = {}) {
    auto tls = make_tls_server_context(files);
    ASSERT_TRUE(tls) << tls.error().message;
    options.tls = *tls;
    auto server = make_http_server({&shards_.at(0)}, options, answer);
    ASSERT_TRUE(server);
    server_ = *std::move(server);
    shards_.start();
    server_->start();
  }

  Result<HttpResponse> ask(const TlsClientOptions& files, const std::string& host = "localhost",
                           HttpRequest request = {}) {
    auto tls = make_tls_client_context(files);
    EXPECT_TRUE(tls) << tls.error().message;
    HttpClientOptions options;
    options.url = *parse_url("https://" + host + ":" + std::to_string(server_->port()));
    options.tls = *tls;
    gate_ = std::make_unique<EgressGate>(std::vector<Url>{options.url});
    auto client = *make_http_client(shards_.at(0), options, *gate_);
    if (client_) old_.push_back(std::move(client_));
    client_ = std::move(client);
    return testing_net::send(shards_.at(0), *client_, std::move(request));
  }

  testing_net::TemporaryDirectory files_;
  Identity authority_ = make_identity("test authority", nullptr, "", -kHour, kHour);
  TlsServerOptions authority_files_ = save("authority", authority_);
  std::unique_ptr<EgressGate> gate_;
  ShardSet shards_{1};
  std::unique_ptr<HttpServer> server_;
  std::vector<std::unique_ptr<HttpClient>> old_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(TlsTest, TalksToAServerWhoseCertificateIsRight) {
  serve(
      save("server", make_identity("s", &authority_, "DNS:localhost,IP:127.0.0.1", -kHour, kHour)));
  const TlsClientOptions trust{authority_files_.certificate_file, "", ""};
  HttpRequest request;
  request.method = "POST";
  request.target = "/x";
  request.body = std::string(200'000, 'b');
  const auto by_name = ask(trust, "localhost", request);
  ASSERT_TRUE(by_name) << by_name.error().message;
  EXPECT_EQ(by_name->body, "tls /x 200000");
  const auto by_address = ask(trust, "127.0.0.1");
  ASSERT_TRUE(by_address) << by_address.error().message;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(testing_net::send(shards_.at(0), *client_, HttpRequest()));
  }
  EXPECT_EQ(server_->counters().accepted, 2u);
}

TEST_F(TlsTest, RefusesACertificateOfAnotherHost) {
  serve(
      save("server", make_identity("localhost", &authority_, "DNS:other.example", -kHour, kHour)));
  const auto answer = ask({authority_files_.certificate_file, "", ""});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::tls);
  EXPECT_TRUE(answer.error().message.contains("ostname mismatch")) << answer.error().message;
  EXPECT_EQ(server_->counters().requests, 0u);
}

TEST_F(TlsTest, RefusesACertificateOfAnotherAddress) {
  serve(save("server", make_identity("s", &authority_, "DNS:localhost", -kHour, kHour)));
  const auto answer = ask({authority_files_.certificate_file, "", ""}, "127.0.0.1");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::tls);
}

TEST_F(TlsTest, RefusesAnExpiredCertificate) {
  serve(save("server", make_identity("s", &authority_, "DNS:localhost", -2 * kHour, -kHour)));
  const auto answer = ask({authority_files_.certificate_file, "", ""});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::tls);
  EXPECT_TRUE(answer.error().message.contains("expired")) << answer.error().message;
}

TEST_F(TlsTest, RefusesASelfSignedCertificate) {
  serve(save("server", make_identity("localhost", nullptr, "DNS:localhost", -kHour, kHour)));
  for (const std::string& ca : {authority_files_.certificate_file, std::string()}) {
    const auto answer = ask({ca, "", ""});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::tls);
  }
  EXPECT_EQ(server_->counters().requests, 0u);
}

TEST_F(TlsTest, RefusesAServerThatSpeaksNoTls) {
  testing_net::ScriptedServer plain([](RawConnection& connection, int) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    connection.read_to_end();
  });
  auto tls = *make_tls_client_context({authority_files_.certificate_file, "", ""});
  HttpClientOptions options;
  options.url = *parse_url("https://localhost:" + std::to_string(plain.port()));
  options.tls = tls;
  gate_ = std::make_unique<EgressGate>(std::vector<Url>{options.url});
  client_ = *make_http_client(shards_.at(0), options, *gate_);
  shards_.start();
  const auto answer = testing_net::send(shards_.at(0), *client_, {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::tls);
  shards_.stop(seconds(5));
}

TEST_F(TlsTest, AsksClientsForACertificateWhenSoConfigured) {
  auto files = save("server", make_identity("s", &authority_, "DNS:localhost", -kHour, kHour));
  files.client_ca_file = authority_files_.certificate_file;
  serve(files);
  const auto without = ask({authority_files_.certificate_file, "", ""});
  EXPECT_FALSE(without);
  const auto partner = save("partner", make_identity("p", &authority_, "DNS:p", -kHour, kHour));
  const auto with =
      ask({authority_files_.certificate_file, partner.certificate_file, partner.key_file});
  EXPECT_TRUE(with) << with.error().message;
  const auto stranger = save("stranger", make_identity("p", nullptr, "DNS:p", -kHour, kHour));
  EXPECT_FALSE(
      ask({authority_files_.certificate_file, stranger.certificate_file, stranger.key_file}));
  EXPECT_EQ(server_->counters().requests, 1u);
}

TEST_F(TlsTest, SwapsTheCertificateForNewConnections) {
  serve(save("old", make_identity("s", &authority_, "DNS:other.example", -kHour, kHour)));
  const TlsClientOptions trust{authority_files_.certificate_file, "", ""};
  EXPECT_FALSE(ask(trust));
  server_->set_tls(*make_tls_server_context(
      save("new", make_identity("s", &authority_, "DNS:localhost", -kHour, kHour))));
  EXPECT_TRUE(ask(trust));
}

TEST_F(TlsTest, TrustsAPinnedCertificateUnderWhateverName) {
  const auto pinned =
      save("server", make_identity("s", nullptr, "DNS:other.example", -kHour, kHour));
  serve(pinned);
  EXPECT_TRUE(ask({.ca_file = {},
                   .certificate_file = {},
                   .key_file = {},
                   .pinned_file = pinned.certificate_file}));
  const auto other = save("other", make_identity("s", nullptr, "DNS:localhost", -kHour, kHour));
  const auto refused = ask({.ca_file = {},
                            .certificate_file = {},
                            .key_file = {},
                            .pinned_file = other.certificate_file});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::tls);
  EXPECT_EQ(server_->counters().requests, 1u);
  EXPECT_FALSE(make_tls_client_context(
      {.ca_file = {}, .certificate_file = {}, .key_file = {}, .pinned_file = other.key_file}));
}

TEST_F(TlsTest, SaysWhenACertificateEnds) {
  const auto files = save("server", make_identity("s", nullptr, "DNS:localhost", -kHour, kHour));
  const auto context = make_tls_server_context(files);
  ASSERT_TRUE(context);
  const auto left = certificate_ends_at(*context) - system_clock().wall_now();
  EXPECT_LE(left, seconds(kHour));
  EXPECT_GT(left, seconds(kHour - 600));
}

TEST_F(TlsTest, EndsASilentHandshake) {
  HttpServerOptions options;
  options.header_limit = milliseconds(100);
  serve(save("server", make_identity("s", &authority_, "DNS:localhost", -kHour, kHour)), options);
  RawConnection silent(server_->port());
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_FALSE(silent.timed_out());
}

/// What OpenSSL negotiates with the server when it may use `version` and `ciphers` only.
std::string negotiate(std::uint16_t port, int version, const char* ciphers) {
  const RawConnection connection(port);
  std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  if (ciphers) SSL_CTX_set_cipher_list(context.get(), ciphers);
  std::unique_ptr<SSL, Freed<SSL_free>> tls(SSL_new(context.get()));
  SSL_set_fd(tls.get(), connection.descriptor());
  const bool connected = SSL_connect(tls.get()) == 1;
  ERR_clear_error();
  return connected ? SSL_get_cipher_name(tls.get()) : "";
}

TEST_F(TlsTest, SpeaksTls12And13WithAeadAndForwardSecrecyOnly) {
  serve(save("server", make_identity("s", &authority_, "DNS:localhost", -kHour, kHour)));
  const auto port = server_->port();
  EXPECT_EQ(negotiate(port, TLS1_VERSION, nullptr), "");
  EXPECT_EQ(negotiate(port, TLS1_1_VERSION, nullptr), "");
  EXPECT_EQ(negotiate(port, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256"), "");
  EXPECT_EQ(negotiate(port, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA"), "");
  EXPECT_EQ(negotiate(port, TLS1_2_VERSION, "AES128-GCM-SHA256"), "");
  EXPECT_EQ(negotiate(port, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"),
            "ECDHE-ECDSA-AES128-GCM-SHA256");
  EXPECT_NE(negotiate(port, TLS1_3_VERSION, nullptr), "");
}

TEST_F(TlsTest, NamesTheFileThatCannotBeUsed) {
  const auto good = save("good", make_identity("s", &authority_, "DNS:a", -kHour, kHour));
  const auto other = save("other", make_identity("s", &authority_, "DNS:b", -kHour, kHour));
  const auto missing = make_tls_server_context({files_.path("none.pem"), good.key_file, ""});
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().message.contains("none.pem"));
  const auto mismatched = make_tls_server_context({good.certificate_file, other.key_file, ""});
  ASSERT_FALSE(mismatched);
  EXPECT_TRUE(mismatched.error().message.contains("other.key"));
  EXPECT_FALSE(make_tls_client_context({files_.path("none.pem"), "", ""}));
}

}  // namespace
}  // namespace millrace
