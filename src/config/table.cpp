// Documents that begin with `table:`, their rows written out or in a CSV file.
#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "config/csv.hpp"
#include "config/loading.hpp"
#include "config/nearest.hpp"
#include "config/object_specs.hpp"
#include "config/text_values.hpp"

namespace millrace::config {
namespace {

constexpr std::size_t kTableBytesMax = std::size_t{1} << 20;

struct TableYaml {
  std::string table;
  Missing missing = Missing::error;
  std::vector<std::pair<std::string, Json>> rows;
  Located file;
  std::string key;
  std::string value;
  std::string delimiter = ",";
};

const Spec<TableYaml>& table() {
  static const auto made =
      Spec<TableYaml>("table", "A translation table for `lookup(\"table\"; key)`.")
          .option("table", &TableYaml::table, "Its name.")
          .required()
          .option("missing", &TableYaml::missing,
                  "What `lookup()` does with an unknown key: park the record, fail, or return "
                  "null.",
                  SpecNames<Missing>{
                      {"park", Missing::park}, {"error", Missing::error}, {"null", Missing::null}})
          .option("rows", &TableYaml::rows, "Key to value. Either this or `file`.")
          .example("{ Units: C62 }")
          .option("file", &TableYaml::file,
                  "A CSV file below the directory, at most 1 MiB: UTF-8, fields in double quotes "
                  "where they hold a comma, a quote (written twice) or a line break. Two columns, "
                  "key and value, without a header; with `key` and `value` the first line names "
                  "the columns. Values are strings. A key stands once.")
          .example("tables/uom.csv")
          .option("key", &TableYaml::key, "`file`: the column with the keys, by its header.")
          .option("value", &TableYaml::value, "`file`: the column with the values.")
          .option("delimiter", &TableYaml::delimiter, "`file`: what separates its columns.")
          .one_of({",", ";", "tab"})
          .exactly_one_of({"rows", "file"})
          .check([](const TableYaml& yaml) -> std::string {
            if (yaml.key.empty() != yaml.value.empty()) {
              return "`key` and `value` name the two columns: write both, or neither for a file "
                     "of two columns without a header";
            }
            return yaml.file.value.empty() && !yaml.key.empty()
                       ? "`key` and `value` name columns of a `file`"
                       : "";
          });
  return made;
}

/// Takes a file's rows into a table, reporting what is wrong in the file.
class CsvTable {
 public:
  CsvTable(Loading& loading, const TableYaml& yaml, TableObject& out)
      : loading_(loading), yaml_(yaml), out_(out), path_("table " + out.name + " / file") {}

  void read() {
    const std::string& file = yaml_.file.value;
    if (!stays_inside(file)) {
      loading_.error(yaml_.file.place, path_, "write a path inside the configuration directory");
      return;
    }
    auto text = read_file(loading_.options.directory + "/" + file, kTableBytesMax);
    if (!text) {
      loading_.error(yaml_.file.place, path_, fmt::format("{}: {}", file, text.error().message));
      return;
    }
    const auto rows = parse_csv(*text, yaml_.delimiter == "tab" ? '\t' : yaml_.delimiter[0]);
    loading_.sources[file] = std::move(*text);
    if (!rows) {
      error(rows.error().line, rows.error().message);
      return;
    }
    std::span<const CsvRow> data = *rows;
    if (!yaml_.key.empty()) {
      if (data.empty()) {
        error(1, "the file is empty; its first line names the columns");
        return;
      }
      if (!read_header(data.front())) return;
      data = data.subspan(1);
    }
    for (const CsvRow& row : data) take(row);
  }

 private:
  void error(int line, std::string message) {
    loading_.error({yaml_.file.value, line, 1}, path_, std::move(message));
  }

  bool read_header(const CsvRow& header) {
    columns_ = header.fields.size();
    const auto column = [&](const std::string& name, std::size_t& index) {
      const auto found = std::ranges::find(header.fields, name);
      index = static_cast<std::size_t>(found - header.fields.begin());
      if (found != header.fields.end()) return true;
      error(header.line, fmt::format("there is no column `{}`; there are {}{}", name,
                                     list_names(header.fields), did_you_mean(name, header.fields)));
      return false;
    };
    const bool has_key = column(yaml_.key, key_);
    return column(yaml_.value, value_) && has_key;
  }

  void take(const CsvRow& row) {
    if (row.fields.size() != columns_) {
      error(row.line,
            fmt::format("{} {}, expected {}{}", row.fields.size(),
                        row.fields.size() == 1 ? "column" : "columns", columns_,
                        yaml_.key.empty() ? "; `key:` and `value:` choose two columns by the "
                                            "header's names"
                                          : " as in the header"));
      return;
    }
    const std::string& key = row.fields[key_];
    if (key.empty()) {
      error(row.line, "the key is empty");
      return;
    }
    const auto [first, fresh] = lines_.emplace(key, row.line);
    if (!fresh) {
      error(row.line, fmt::format("the key `{}` stands in line {} already", key, first->second));
      return;
    }
    out_.rows.emplace(key, Json(row.fields[value_]));
  }

  Loading& loading_;
  const TableYaml& yaml_;
  TableObject& out_;
  std::string path_;
  std::size_t columns_ = 2;
  std::size_t key_ = 0;
  std::size_t value_ = 1;
  std::map<std::string, int> lines_;
};

}  // namespace

const AnySpec& table_spec() {
  return table();
}

void read_table(Loading& loading, Document& document) {
  SpecReader reader = loading.reader(document);
  const SpecReader::Step step(reader, title(document));
  TableYaml yaml;
  table().read(document.node, reader, yaml);
  TableObject out;
  out.place = {document.file, document.node.line, document.node.column};
  out.name = document.name;
  out.missing = yaml.missing;
  for (auto& [key, value] : yaml.rows) out.rows.insert_or_assign(key, std::move(value));
  if (!yaml.file.value.empty()) CsvTable(loading, yaml, out).read();
  loading.config->tables.insert_or_assign(document.name, std::move(out));
}

}  // namespace millrace::config
