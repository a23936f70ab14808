// What an editor is told about the configuration language, checked with our own validator: the
// documents that ship and the design's sample fit, and what the loader refuses by form does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/node_json.hpp"
#include "config/reference.hpp"
#include "config/schema.hpp"
#include "config/yaml.hpp"
#include "connectors/all_connectors.hpp"

namespace millrace::config {
namespace {

namespace fs = std::filesystem;

// References stay as they are: an editor sees the text.
const Substitute& unresolved() {
  static const Substitute made = [](std::string_view kind, std::string_view name) {
    return Result<std::string>("${" + std::string(kind) + "." + std::string(name) + "}");
  };
  return made;
}

std::vector<Json> documents_of(std::string_view text, const std::string& file) {
  std::vector<Problem> problems;
  std::vector<Json> documents;
  for (const Node& node : parse_yaml(text, file, problems)) {
    SpecReader reader(file, problems, &unresolved());
    EXPECT_TRUE(to_json(node, reader, documents.emplace_back())) << file;
  }
  EXPECT_TRUE(problems.empty()) << file << ": " << problems.front().message;
  return documents;
}

const SchemaValidator& validator() {
  static const SchemaValidator made = [] {
    ConnectorRegistry connectors;
    register_all_connectors(connectors);
    auto compiled = SchemaValidator::compile(editor_schema(connectors));
    EXPECT_TRUE(compiled) << compiled.error().message;
    return std::move(*compiled);
  }();
  return made;
}

std::string refusal(std::string_view text) {
  for (const Json& document : documents_of(text, "sample.yaml")) {
    const auto fits = validator().validate(document);
    if (!fits) return fits.error().message;
  }
  return "";
}

int count_fitting(const std::string& directory) {
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".yaml") || path.find("/vars/") != std::string::npos) continue;
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    for (const Json& document : documents_of(text.str(), path)) {
      const auto fits = validator().validate(document);
      EXPECT_TRUE(fits) << path << ": " << fits.error().message << "\n" << write_json(document);
      ++count;
    }
  }
  return count;
}

TEST(EditorSchema, AcceptsTheConfigurationThatShips) {
  EXPECT_GT(count_fitting(MILLRACE_SOURCE_DIR "/config"), 15);
}

TEST(EditorSchema, AcceptsTheDesignsSample) {
  EXPECT_GT(count_fitting(MILLRACE_SOURCE_DIR "/tests/unit/config/fixtures/design_sample_1"), 7);
}

TEST(EditorSchema, AcceptsReferencesWhereValuesStand) {
  EXPECT_EQ(refusal("connection: mes\ntype: http\nurl: \"${var.url}\"\nidempotent: \"${var.i}\"\n"
                    "limits: { in_flight: \"${var.n}\", body: \"${var.body}\" }\n"
                    "timeout: \"${var.seconds}s\"\n"),
            "");
}

TEST(EditorSchema, RefusesWhatIsNoDocument) {
  EXPECT_NE(refusal("connnection: mes\ntype: http\n"), "");
  EXPECT_NE(refusal("schedule: nightly\ncron: x\n"), "") << "not supported yet";
  EXPECT_NE(refusal("[ a, b ]\n"), "");
}

TEST(EditorSchema, RefusesUnknownAndMissingKeys) {
  constexpr std::string_view kRoute =
      "route: r\nfrom: order\nto: mes\nrequests: { changed: { path: /a } }\n";
  EXPECT_EQ(refusal(kRoute), "");
  EXPECT_NE(refusal(std::string(kRoute) + "whem: .data.a\n"), "");
  EXPECT_NE(refusal(std::string(kRoute) + "approve: { by: me }\n"), "") << "not supported yet";
  EXPECT_NE(refusal("route: r\nfrom: order\nrequests: { changed: { path: /a } }\n"), "");
  EXPECT_NE(refusal("route: r\nfrom: order\nto: mes\nrequests: { changed: { method: GET } }\n"),
            "");
  EXPECT_NE(refusal("route: r\nfrom: order\nto: mes\nrequests: { changed: { path: /a, metod: GET }"
                    " }\n"),
            "");
}

TEST(EditorSchema, RefusesValuesOfTheWrongForm) {
  const auto route = [](std::string_view more) {
    return refusal("route: r\nfrom: order\nto: mes\nrequests: { changed: { path: /a } }\n" +
                   std::string(more));
  };
  EXPECT_EQ(route("retry: { initial: 2s }\ncriticality: low\nparked_max: 5\n"), "");
  EXPECT_NE(route("retry: { initial: 2 }\n"), "");
  EXPECT_NE(route("retry: { initial: 2 seconds }\n"), "");
  EXPECT_NE(route("criticality: urgent\n"), "");
  EXPECT_NE(route("parked_max: many\n"), "");
  EXPECT_NE(route("parked_max: 0\n"), "");
  EXPECT_NE(route("start: 5\n"), "");
  EXPECT_NE(route("when: [ 1 ]\n"), "");
}

TEST(EditorSchema, KnowsTheKeysOfEachConnector) {
  constexpr std::string_view kOdoo =
      "connection: odoo\ntype: odoo\nurl: https://odoo\ndatabase: prod\nlogin: a\napi_key: b\n";
  EXPECT_EQ(refusal(kOdoo), "");
  EXPECT_NE(refusal(std::string(kOdoo) + "check_path: /health\n"), "") << "a key of http";
  EXPECT_NE(refusal(std::string(kOdoo) + "pace: odoo_offline\n"), "");
  EXPECT_NE(refusal("connection: odoo\ntype: odoo\nurl: https://odoo\n"), "");
  EXPECT_NE(refusal("connection: mes\ntype: htp\n"), "");
  EXPECT_NE(refusal("connection: mes\nurl: https://mes\n"), "") << "no type";
  EXPECT_NE(refusal("connection: mes\ntype: http\nurl: https://mes\n"
                    "auth: { bearer: a, basic: { user: u, password: p } }\n"),
            "")
      << "two ways to log in";
}

}  // namespace
}  // namespace millrace::config
