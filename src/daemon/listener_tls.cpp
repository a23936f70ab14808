#include "daemon/listener_tls.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "admin/admin_token.hpp"

namespace millrace::daemon {

Result<TlsContextPtr> load_listener_tls(const config::Installation& installation) {
  if (!installation.tls) return TlsContextPtr();
  const config::TlsFiles& files = *installation.tls;
  MILLRACE_TRY(context, make_tls_server_context({.certificate_file = files.certificate,
                                                 .key_file = files.key,
                                                 .client_ca_file = {}}));
  const WallTime ends = certificate_ends_at(context);
  spdlog::log(ends < system_clock().wall_now() ? spdlog::level::err : spdlog::level::info,
              "certificate file={} ends={}", files.certificate, to_rfc3339(ends));
  return context;
}

Result<void> publish_certificate(const config::Installation& installation) {
  namespace fs = std::filesystem;
  const fs::path file = fs::path(installation.data_directory) / admin::kAdminCertificateFile;
  std::error_code error;
  if (!installation.tls) {
    fs::remove(file, error);
  } else {
    // Renamed into place: nobody sees half of it.
    const fs::path draft = file.string() + ".new";
    fs::copy_file(installation.tls->certificate, draft, fs::copy_options::overwrite_existing,
                  error);
    if (!error) fs::rename(draft, file, error);
  }
  if (!error) return {};
  return fail(Errc::config,
              fmt::format("{} cannot be written: {}", file.string(), error.message()));
}

}  // namespace millrace::daemon
