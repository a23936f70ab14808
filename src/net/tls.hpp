// TLS settings, loaded and checked once. TLS 1.2 and 1.3 with AEAD and ECDHE only, no
// renegotiation, no compression, no tickets. A context is immutable: a reload makes a new one and
// swaps the pointer; the old one goes with its last connection.
#pragma once

#include <memory>
#include <string>

#include "millrace/clock.hpp"
#include "millrace/result.hpp"

namespace millrace {

class TlsContext;  ///< defined in tls_context.hpp, for src/net alone
using TlsContextPtr = std::shared_ptr<TlsContext>;

struct TlsServerOptions {
  std::string certificate_file;  ///< PEM, the chain from leaf to root
  std::string key_file;          ///< PEM
  std::string client_ca_file;    ///< when set, clients must present a certificate of it
};

struct TlsClientOptions {
  std::string ca_file;           ///< empty: the system's authorities
  std::string certificate_file;  ///< for mutual TLS; empty: none
  std::string key_file;
  std::string pinned_file = {};  ///< PEM: this certificate is the peer's, under whatever name
};

/// Errc::tls names the file and what is wrong with it.
Result<TlsContextPtr> make_tls_server_context(const TlsServerOptions& options);
Result<TlsContextPtr> make_tls_client_context(const TlsClientOptions& options);

/// When the certificate of a server context ends.
WallTime certificate_ends_at(const TlsContextPtr& context);

}  // namespace millrace
