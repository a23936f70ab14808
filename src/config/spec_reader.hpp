// What reading a configuration needs beside the tree: where we are, what went wrong so far, and
// what `${var.x}`, `${env.X}` and `${secret.x}` stand for.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.hpp"
#include "config/node.hpp"

namespace millrace::config {

/// ("var", "mes_url") -> its text, or why there is none. An empty function knows nothing.
using Substitute = std::function<Result<std::string>(std::string_view kind, std::string_view name)>;

class SpecReader {
 public:
  /// `problems` and `substitute` outlive the reader.
  SpecReader(std::string file, std::vector<Problem>& problems, const Substitute* substitute)
      : file_(std::move(file)), problems_(problems), substitute_(substitute) {}

  /// Adds a step to the path of every problem reported while it lives.
  class Step {
   public:
    Step(SpecReader& reader, std::string name) : reader_(reader) {
      reader_.path_.push_back(std::move(name));
    }
    ~Step() { reader_.path_.pop_back(); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    SpecReader& reader_;
  };

  /// Problems reported while it lives do not show their source line.
  class Hidden {
   public:
    Hidden(SpecReader& reader, bool hide) : reader_(reader), before_(reader.hide_source_) {
      reader.hide_source_ = before_ || hide;
    }
    ~Hidden() { reader_.hide_source_ = before_; }
    Hidden(const Hidden&) = delete;
    Hidden& operator=(const Hidden&) = delete;

   private:
    SpecReader& reader_;
    bool before_;
  };

  void error(const Node& node, std::string message);
  void error_at(int line, int column, std::string message);
  void warning(const Node& node, std::string message);
  std::size_t errors() const { return errors_; }

  Place place(const Node& node) const { return {file_, node.line, node.column}; }
  Place text_place(const Node& node) const { return {file_, node.text_line, node.text_column}; }
  std::string path() const;

  /// Replaces every `${kind.name}` in a string; any other `${` is refused. False: reported.
  bool resolve(const Node& node, std::string& out);
  /// One reference without its `${ }`: "var.x". False: reported.
  bool resolve_reference(const Node& node, std::string_view reference, std::string& out);

 private:
  void add(Problem::Level level, int line, int column, std::string message);

  std::string file_;
  std::vector<Problem>& problems_;
  const Substitute* substitute_;
  std::vector<std::string> path_;
  std::size_t errors_ = 0;
  bool hide_source_ = false;
};

/// True for "var.x", "env.X" and "secret.x" with a plain name.
bool is_reference(std::string_view text);

}  // namespace millrace::config
