#include "config/variables.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/nearest.hpp"

namespace millrace::config {
// The descriptor is checked, not the name: what is read is what was checked.
Result<std::string> read_secret_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return fail(Errc::config,
                fmt::format("cannot read the secret file {}: {}", path, std::strerror(errno)));
  }
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};
  struct ::stat status{};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(Errc::config, fmt::format("the secret {} is not a regular file", path));
  }
  if ((status.st_mode & 0027) != 0) {
    return fail(Errc::config,
                fmt::format("the secret file {0} has mode {1:04o}: others may read it or the group "
                            "may write it; run `chmod 0600 {0}`",
                            path, status.st_mode & 07777));
  }
  std::string value(kSecretBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < value.size()) {
    const ssize_t got = ::read(descriptor, value.data() + size, value.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kSecretBytesMax) {
    return fail(Errc::config,
                fmt::format("the secret file {} has more than {} bytes", path, kSecretBytesMax));
  }
  value.resize(size);
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  if (value.empty()) return fail(Errc::config, fmt::format("the secret file {} is empty", path));
  return value;
}

namespace {

void read_vars_into(const Node& node, const std::string& prefix, SpecReader& reader,
                    std::map<std::string, std::string>& vars) {
  if (node.kind != Node::Kind::mapping) {
    reader.error(node, "a vars file holds `name: value` lines");
    return;
  }
  for (const Node::Member& member : node.members) {
    const std::string name = prefix + member.key;
    if (!is_reference("var." + name)) {
      reader.error_at(member.line, member.column,
                      fmt::format("`{}` is no name: use letters, digits, `_` and `-`", name));
    } else if (member.value.kind == Node::Kind::mapping) {
      read_vars_into(member.value, name + ".", reader, vars);
    } else if (!member.value.is_scalar() || member.value.kind == Node::Kind::null) {
      reader.error(member.value, fmt::format("`{}` needs one plain value", name));
    } else if (member.value.is_string()) {
      std::string text;
      if (reader.resolve(member.value, text)) vars[name] = std::move(text);
    } else {
      vars[name] = member.value.text;
    }
  }
}

}  // namespace

void Variables::set_vars(std::map<std::string, std::string> vars, std::string file, bool exists) {
  vars_ = std::move(vars);
  vars_file_ = std::move(file);
  vars_exist_ = exists;
}

Substitute Variables::substitute() {
  return [this](std::string_view kind, std::string_view name) { return get(kind, name); };
}

Result<std::string> Variables::get(std::string_view kind, std::string_view name) {
  if (kind == "var") return variable(name);
  if (kind == "env") return from_environment(name);
  return secret(std::string(name));
}

Result<std::string> Variables::variable(std::string_view name) const {
  const auto found = vars_.find(std::string(name));
  if (found != vars_.end()) return found->second;
  if (!vars_exist_) {
    return fail(Errc::config, fmt::format("`${{var.{}}}` is used, but there is no {}; write it, or "
                                          "set `environment:` to one that has its vars file",
                                          name, vars_file_));
  }
  return fail(Errc::config, fmt::format("{} has no `{}`{}", vars_file_, name,
                                        did_you_mean(name, keys_of(vars_))));
}

Result<std::string> Variables::from_environment(std::string_view name) const {
  const auto found = environment_.find(std::string(name));
  if (found != environment_.end()) return found->second;
  // Which variables exist is known only where it will run; "0" also passes as a port.
  if (without_secrets_) return "0";
  return fail(Errc::config, fmt::format("the environment variable {} is not set", name));
}

Result<std::string> Variables::secret(const std::string& name) {
  if (without_secrets_) return fmt::format("secret-{}", name);
  if (const auto known = secrets_.find(name); known != secrets_.end()) return known->second;
  if (secrets_directory_.empty()) {
    return fail(Errc::config, fmt::format("`${{secret.{}}}` is used, but the installation has no "
                                          "`secrets: {{ directory: ... }}`",
                                          name));
  }
  if (name.starts_with('.')) {
    return fail(Errc::config, fmt::format("`{}` is no name of a secret", name));
  }
  MILLRACE_TRY(value, read_secret_file(secrets_directory_ + "/" + name));
  secrets_[name] = value;
  return value;
}

std::map<std::string, std::string> read_vars(const Node& root, SpecReader& reader) {
  std::map<std::string, std::string> vars;
  read_vars_into(root, "", reader, vars);
  return vars;
}

}  // namespace millrace::config
