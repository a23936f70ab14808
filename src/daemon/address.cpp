#include "daemon/address.hpp"

namespace millrace::daemon {

std::pair<std::string, std::uint16_t> split_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {host, static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1)))};
}

}  // namespace millrace::daemon
