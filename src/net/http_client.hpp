// Makes the HttpClient of millrace/http.hpp: a keep-alive pool to one target on one shard.
#pragma once

#include <cstddef>
#include <memory>

#include "millrace/http.hpp"
#include "net/egress.hpp"
#include "net/shard.hpp"
#include "net/tls.hpp"

namespace millrace {

struct HttpClientOptions {
  Url url;  ///< who to call; `base_path` is the caller's to put into targets
  std::size_t connections_max = 8;     ///< requests on the wire at once
  std::size_t waiting_max = 1024;      ///< senders that wait for a connection; beyond: overloaded
  milliseconds idle_limit{55'000};     ///< below the 60 s and more after which servers close
  milliseconds connect_limit{10'000};  ///< resolution, connect and handshake of one connection
  std::size_t answer_header_max = 16 * 1024;
  std::size_t answer_fields_max = 200;
  std::size_t answer_bytes_max = 8 << 20;
  TlsContextPtr tls;  ///< for https; nullptr: the system's authorities
};

/// `gate` and `shard` must outlive the client; destroy it on its shard, or when that has stopped.
/// Errc::tls when the system's authorities cannot be loaded.
Result<std::unique_ptr<HttpClient>> make_http_client(Shard& shard, HttpClientOptions options,
                                                     const EgressGate& gate);

/// What connectors are handed: makes clients on `shard`, all behind `gate`; both outlive the
/// factory.
HttpClientFactory make_http_client_factory(Shard& shard, const EgressGate& gate);

}  // namespace millrace
