// CRC32C (Castagnoli, RFC 3720 appendix B.4), with the SSE4.2 instruction where the processor has
// it.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

/// Continues `crc` (0 to begin) over `bytes`: crc32c(b, crc32c(a)) == crc32c(a + b).
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

/// The same by tables; the fallback, public so that tests compare both.
std::uint32_t crc32c_software(std::string_view bytes, std::uint32_t crc = 0);

}  // namespace millrace
