// The token that opens the admin API: a file only its owner reads, in the data directory.
#pragma once

#include <filesystem>
#include <string>

#include "millrace/result.hpp"

namespace millrace::admin {

inline constexpr const char* kAdminTokenFile = "admin.token";
/// Beside it when the admin plane speaks TLS: its certificate.
inline constexpr const char* kAdminCertificateFile = "admin.pem";

/// Reads `directory`/admin.token, or makes it (0600, 32 random bytes in hex) when there is none.
/// Errc::config when others may read it or it is too short.
Result<std::string> ensure_admin_token(const std::filesystem::path& directory);

/// Reads a token file as the command line does. Errc::not_found, Errc::forbidden.
Result<std::string> read_admin_token(const std::filesystem::path& file);

}  // namespace millrace::admin
