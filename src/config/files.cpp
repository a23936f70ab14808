// Reading the directory: which files count, which documents they hold, what each is.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/loading.hpp"
#include "config/nearest.hpp"
#include "config/object_specs.hpp"
#include "config/yaml.hpp"

namespace millrace::config {
namespace {

namespace fs = std::filesystem;

bool among(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// Files below `directory` with this ending, sorted, relative; `skip` names folders at the top.
std::vector<std::string> list_files(Loading& loading, const std::string& directory,
                                    std::string_view ending,
                                    const std::vector<std::string_view>& skip) {
  std::vector<std::string> files;
  std::error_code error;
  const fs::path root(loading.options.directory);
  fs::recursive_directory_iterator at(root / directory, error);
  if (error) return files;
  for (; at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (error) {
      loading.error({directory, 0, 0}, "", "cannot list the directory: " + error.message());
      break;
    }
    const std::string name = at->path().filename().string();
    const bool is_directory = at->is_directory(error);
    if (name.starts_with('.') || (is_directory && at.depth() == 0 && among(skip, name))) {
      if (is_directory) at.disable_recursion_pending();
      continue;
    }
    if (is_directory) continue;
    const std::string relative = at->path().lexically_relative(root).generic_string();
    if (ending == ".yaml" && name.ends_with(".yml")) {
      loading.error({relative, 0, 0}, "", "rename it: configuration files end in .yaml");
    }
    if (name.ends_with(ending)) files.push_back(relative);
    if (files.size() > kConfigFilesMax) {
      loading.error(
          {directory, 0, 0}, "",
          fmt::format("more than {} files; is this a configuration directory?", kConfigFilesMax));
      break;
    }
  }
  std::ranges::sort(files);
  return files;
}

std::vector<Node> read_yaml(Loading& loading, const std::string& file) {
  auto text = read_file(loading.options.directory + "/" + file, kYamlBytesMax);
  if (!text) {
    loading.error({file, 0, 0}, "", text.error().message);
    return {};
  }
  auto documents = parse_yaml(*text, file, loading.problems);
  loading.sources[file] = std::move(*text);
  return documents;
}

bool is_kind(std::string_view key) {
  return std::ranges::find(kObjectKinds, key, &ObjectKind::key) != kObjectKinds.end();
}

// The leading key says what a document is; it may stand behind others.
std::string kind_of(const Node& node) {
  for (const Node::Member& member : node.members) {
    if (is_kind(member.key) || among(kKindsNotYet, member.key)) return member.key;
  }
  return {};
}

void refuse_document(Loading& loading, const std::string& file, const Node& node) {
  std::vector<std::string> kinds;
  for (const ObjectKind& kind : kObjectKinds) kinds.emplace_back(kind.key);
  const std::string first = node.members.empty() ? "" : node.members.front().key;
  loading.error({file, node.line, node.column}, "",
                fmt::format("this document is no object: it needs one of the keys {}{}",
                            list_names(kinds), did_you_mean(first, kinds)));
}

bool is_object_name(std::string_view kind, std::string_view name) {
  if (kind == "test") return !name.empty();
  if (name.empty() || name.size() > 100 || name[0] == '-' || name[0] == '.') return false;
  return std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
}

// Two objects of a kind with one name: neither is what the operator sees.
void check_name(Loading& loading, Document& document) {
  const Node* name = document.node.find(document.kind);
  if (name == nullptr || !name->is_string() || name->text.find("${") != name->text.npos) {
    if (name && name->is_string()) {
      loading.error(place_of(document, document.kind), document.kind,
                    "a name is written out, without ${...}");
    }
    return;
  }
  document.name = name->text;
  if (!is_object_name(document.kind, document.name)) {
    loading.error(
        place_of(document, document.kind), document.kind,
        fmt::format("`{}` is no name: use letters, digits, `_`, `-` and `.`", document.name));
  }
  for (const Document& other : loading.documents) {
    const bool same = document.kind == "name"
                          ? other.kind == "name"
                          : other.kind == document.kind && other.name == document.name;
    if (!same) continue;
    const std::string what = document.kind == "name"
                                 ? std::string("there is a second installation (`name:`)")
                                 : fmt::format("there are two with the name `{}`", document.name);
    loading.error(place_of(document, document.kind), title(document),
                  fmt::format("{}; the first stands in {}:{}", what, other.file, other.node.line));
    return;
  }
}

}  // namespace

bool stays_inside(std::string_view path) {
  if (path.starts_with('/')) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct Closer {
    int descriptor;
    ~Closer() {
      if (descriptor >= 0) ::close(descriptor);
    }
  } closer{descriptor};
  struct ::stat status{};
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0) {
    return fail(Errc::config, fmt::format("cannot read it: {}", std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) return fail(Errc::config, "it is not a regular file");
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Errc::config, fmt::format("cannot read it: {}", std::strerror(errno)));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > bytes_max) {
      return fail(Errc::too_large, fmt::format("it has more than {} bytes", bytes_max));
    }
  }
}

std::string title(const Document& document) {
  const std::string kind = document.kind == "name" ? std::string("installation") : document.kind;
  return fmt::format("{} {}", kind, document.name.empty() ? "?" : document.name);
}

Place place_of(const Document& document, std::string_view key) {
  const Node* value = document.node.find(key);
  const Node& node = value ? *value : document.node;
  return {document.file, node.line, node.column};
}

const Document* Loading::find(std::string_view kind, std::string_view name) const {
  for (const Document& document : documents) {
    if (document.kind == kind && document.name == name) return &document;
  }
  return nullptr;
}

std::vector<std::string> Loading::names(std::string_view kind) const {
  std::vector<std::string> found;
  for (const Document& document : documents) {
    if (document.kind == kind) found.push_back(document.name);
  }
  std::ranges::sort(found);
  return found;
}

void read_files(Loading& loading) {
  std::error_code error;
  if (!fs::is_directory(loading.options.directory, error)) {
    loading.error({loading.options.directory, 0, 0}, "",
                  "there is no such directory; `millrace init DIR` writes one that works");
    return;
  }
  for (const std::string& file :
       list_files(loading, "", ".yaml", {"vars", "functions", "schemas"})) {
    for (Node& node : read_yaml(loading, file)) {
      const std::string kind = kind_of(node);
      if (kind.empty()) {
        refuse_document(loading, file, node);
        continue;
      }
      Document document{file, kind, {}, std::move(node), true};
      if (among(kKindsNotYet, kind)) {
        const Node::Member& member = *document.node.find_member(kind);
        loading.error({file, member.line, member.column}, "",
                      fmt::format("`{}` is not supported yet", kind));
        document.usable = false;
      } else {
        check_name(loading, document);
      }
      loading.documents.push_back(std::move(document));
    }
  }
}

void prepare_variables(Loading& loading) {
  std::string environment = "dev";
  std::string secrets;
  std::vector<Problem> ignored;  // the installation is read again, with everything known
  const auto text_of = [&](const Document& document, const Node* node, std::string& out) {
    SpecReader reader(document.file, ignored, &loading.substitute);
    std::string text;
    if (node && node->is_string() && reader.resolve(*node, text)) out = text;
  };
  const auto installation = std::ranges::find(loading.documents, "name", &Document::kind);
  if (installation != loading.documents.end()) {
    text_of(*installation, installation->node.find("environment"), environment);
  }
  if (!is_object_name("environment", environment)) environment = "dev";
  const std::string file = "vars/" + environment + ".yaml";
  std::error_code error;
  const bool exists = fs::exists(fs::path(loading.options.directory) / file, error);
  std::map<std::string, std::string> vars;
  if (exists) {
    SpecReader reader(file, loading.problems, &loading.substitute);
    for (const Node& root : read_yaml(loading, file)) vars.merge(read_vars(root, reader));
  }
  loading.variables.set_vars(std::move(vars), file, exists);
  if (installation != loading.documents.end()) {
    if (const Node* node = installation->node.find("secrets")) {
      text_of(*installation, node->find("directory"), secrets);
    }
    loading.variables.set_secrets_directory(absolute_path(loading, secrets));
  }
}

void read_functions(Loading& loading) {
  for (const std::string& file : list_files(loading, "functions", ".jq", {})) {
    auto text = read_file(loading.options.directory + "/" + file, kFunctionBytesMax);
    if (!text || find_invalid_utf8(*text) != std::string::npos) {
      loading.error({file, 0, 0}, "functions",
                    text ? "invalid UTF-8: save the file as UTF-8" : text.error().message);
      continue;
    }
    loading.compiler.add_functions(file, *text);
    loading.sources[file] = std::move(*text);
  }
}

}  // namespace millrace::config
