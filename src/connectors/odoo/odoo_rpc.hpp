// Calls Odoo 18 over /jsonrpc: logs in once, keeps the pace, and tells errors apart.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "connectors/odoo/odoo_answer.hpp"
#include "connectors/odoo/odoo_options.hpp"
#include "connectors/odoo/odoo_pace.hpp"
#include "millrace/clock.hpp"
#include "millrace/http.hpp"

namespace millrace::connectors {

/// Odoo repeats a call that collides with others for up to 30 s, and kills a worker after 120 s.
inline constexpr milliseconds kOdooCallTimeout{120'000};

/// One Odoo as one login sees it. Lives on the client's shard; must outlive its pending calls.
class OdooRpc {
 public:
  OdooRpc(std::unique_ptr<HttpClient> client, const Url& url, OdooOptions options,
          std::vector<std::int64_t> companies, OdooPacer pacer);

  /// model.method(*args, **kwargs) with our context: all configured companies, the configured
  /// language, archived records included.
  Awaitable<OdooResult<Json>> call(std::string model, std::string method, JsonArray args,
                                   JsonObject kwargs);
  /// "18.0-20250421"; needs no login.
  Awaitable<Result<std::string>> version();
  /// Logs in anew; the user's id. Errc::peer_auth when Odoo refuses.
  Awaitable<Result<std::int64_t>> log_in();
  /// Errc::config when a configured company is not among those of our user.
  Awaitable<Result<void>> check_companies();

 private:
  Awaitable<OdooResult<Json>> send(std::string service, std::string method, JsonArray args);
  JsonObject context() const;

  std::unique_ptr<HttpClient> client_;
  std::string target_;
  OdooOptions options_;
  std::vector<std::int64_t> companies_;
  OdooPacer pacer_;
  std::optional<std::int64_t> user_;
  std::int64_t last_id_ = 0;
};

}  // namespace millrace::connectors
