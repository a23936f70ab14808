// The client that connectors get: made on the connection's home shard, behind its own egress gate.
#pragma once

#include <memory>

#include "millrace/http.hpp"
#include "net/egress.hpp"
#include "net/shard.hpp"

namespace millrace::daemon {

/// Call it on `shard`. Errc::tls when a certificate file cannot be used.
Result<std::unique_ptr<HttpClient>> make_gated_client(Shard& shard,
                                                      const HttpClientSettings& settings,
                                                      std::shared_ptr<const EgressGate> gate);

}  // namespace millrace::daemon
