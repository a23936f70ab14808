#include "canon/past_program.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <set>

#include "canon/collect_plan.hpp"
#include "canon/judgement.hpp"
#include "canon/projection.hpp"

namespace millrace::canon {
namespace {

constexpr std::size_t kRowsPerScan = 1000;

Json plan_json(const FieldPlan& plan) {
  JsonArray fields;
  for (const FieldPlan::Field& field : plan.fields) {
    fields.emplace_back(JsonArray{field.name, plan_json(field.nested)});
  }
  return Json(std::move(fields));
}

FieldPlan plan_of(const Json* json) {
  FieldPlan plan;
  if (json == nullptr || !json->is_array()) return plan;
  for (const Json& field : json->get_array()) {
    if (!field.is_array() || field.get_array().size() != 2) continue;
    const JsonArray& pair = field.get_array();
    if (!pair[0].is_string()) continue;
    plan.fields.push_back({std::string(pair[0].get_string()), plan_of(&pair[1])});
  }
  return plan;
}

std::string encode_program(const config::Config& config, const config::Entity& entity,
                           const config::EntitySource& source) {
  JsonObject tables;
  for (const std::string& name : source.map.compiled->tables()) {
    const auto table = config.tables.find(name);
    if (table == config.tables.end()) continue;
    JsonObject rows;
    for (const auto& [key, value] : table->second.rows) rows.emplace(key, value);
    tables.emplace(name, std::move(rows));
  }
  JsonArray companies;
  const auto connection = config.connections.find(source.connection);
  if (connection != config.connections.end()) {
    for (const auto& [id, code] : connection->second.companies) {
      companies.emplace_back(JsonArray{id, code});
    }
  }
  JsonArray events;
  for (const config::EntityEvent& event : entity.events) {
    events.emplace_back(JsonArray{event.name, event.when.text, event.when.functions});
  }
  return write_json(Json(JsonObject{{"entity", entity.name},
                                    {"connection", source.connection},
                                    {"model", source.model},
                                    {"read", plan_json(source.read)},
                                    {"map", source.map.text},
                                    {"functions", source.map.functions},
                                    {"tables", std::move(tables)},
                                    {"companies", std::move(companies)},
                                    {"events", std::move(events)}}));
}

Result<config::Program> compile(std::string_view text, const std::string& functions,
                                const char* variable) {
  auto compiled = Expression::compile(text, {.variables = {variable}, .functions = functions});
  if (!compiled) return fail(Errc::config, compiled.error().message);
  config::Program program;
  program.text = text;
  program.compiled = *std::move(compiled);
  return program;
}

/// Lists in the array `key`, those of `size` members.
void for_each_list(const Json& json, std::string_view key, std::size_t size,
                   const std::function<void(const JsonArray&)>& take) {
  const Json* all = find(json, key);
  if (all == nullptr || !all->is_array()) return;
  for (const Json& list : all->get_array()) {
    if (list.is_array() && list.get_array().size() == size) take(list.get_array());
  }
}

std::string text_at(const JsonArray& list, std::size_t index) {
  return list[index].is_string() ? std::string(list[index].get_string()) : std::string();
}

Result<PastProgram> decode_program(std::string hash, std::string_view text) {
  MILLRACE_TRY(json, parse_json(text));
  PastProgram past;
  past.hash = std::move(hash);
  past.read = plan_of(find(json, "read"));
  past.source.connection = string_or(json, "connection", "");
  past.source.model = string_or(json, "model", "");
  past.entity.name = string_or(json, "entity", "");
  const std::string functions(string_or(json, "functions", ""));
  MILLRACE_TRY(map, compile(string_or(json, "map", ""), functions, "now"));
  past.source.map = std::move(map);
  Result<void> compiled;
  for_each_list(json, "events", 3, [&](const JsonArray& event) {
    auto program = compile(text_at(event, 1), text_at(event, 2), "before");
    if (program) {
      past.entity.events.push_back({text_at(event, 0), *std::move(program)});
    } else {
      compiled = std::unexpected(program.error());
    }
  });
  MILLRACE_CHECK_OK(std::move(compiled));
  auto config = std::make_shared<config::Config>();
  config::Connection& connection = config->connections[past.source.connection];
  connection.name = past.source.connection;
  for_each_list(json, "companies", 2, [&](const JsonArray& company) {
    if (!company[0].is_int64()) return;
    connection.companies.emplace_back(company[0].get_int64(), text_at(company, 1));
  });
  if (const Json* tables = find(json, "tables"); tables != nullptr && tables->is_object()) {
    for (const auto& [name, rows] : tables->get_object()) {
      config::TableObject& table = config->tables[std::string(name)];
      if (!rows.is_object()) continue;
      for (const auto& [key, value] : rows.get_object()) table.rows[std::string(key)] = value;
    }
  }
  past.config = std::move(config);
  return past;
}

/// A field of the plan that the record, or one below it, does not have; empty when there is none.
std::string lost_field(const FieldPlan& plan, const Json& record) {
  if (const JsonArray* list = record.if_array()) {
    for (const Json& item : *list) {
      if (std::string lost = lost_field(plan, item); !lost.empty()) return lost;
    }
    return "";
  }
  const JsonObject* object = record.if_object();
  if (object == nullptr) return "";
  for (const FieldPlan::Field& field : plan.fields) {
    const Json* member = object->if_contains(field.name);
    if (member == nullptr) return field.name;
    if (field.nested.empty()) continue;
    if (std::string lost = lost_field(field.nested, *member); !lost.empty()) {
      return field.name + "." + lost;
    }
  }
  return "";
}

}  // namespace

std::string program_key(std::string_view hash, std::string_view entity,
                        const config::EntitySource& source) {
  return row_key(std::string(hash), std::string(entity), source.connection, source.model);
}

Batch program_writes(const config::Config& config) {
  Batch batch;
  for (const auto& [name, entity] : config.entities) {
    for (const config::EntitySource& source : entity.from) {
      batch.put(Table::programs, program_key(source.program, name, source),
                encode_program(config, entity, source));
    }
  }
  return batch;
}

Result<PastPrograms> load_programs(StateStore& state) {
  auto programs = std::make_shared<std::map<std::string, PastProgram, std::less<>>>();
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, state.scan(Table::programs, "", after, kRowsPerScan));
    for (const Row& row : rows) {
      auto past = decode_program(row.key.substr(0, row.key.find('\0')), row.value);
      if (past) {
        programs->emplace(row.key, *std::move(past));
      } else {
        spdlog::warn("an old program cannot be run any more hash={} error=\"{}\"",
                     row.key.substr(0, row.key.find('\0')), past.error().message);
      }
    }
    if (rows.size() < kRowsPerScan) return PastPrograms(std::move(programs));
    after = rows.back().key;
  }
}

Result<Batch> forget_programs(StateStore& state, const config::Entity& entity) {
  std::set<std::string> named;
  for (const config::EntitySource& source : entity.from) named.insert(source.program);
  const std::string prefix = entity.name + '\0';
  std::string after;
  for (;;) {
    MILLRACE_TRY(rows, state.scan(Table::projections, prefix, after, kRowsPerScan));
    for (const Row& row : rows) {
      MILLRACE_TRY(header, decode_projection_header(row.value));
      named.insert(std::move(header.program));
    }
    if (rows.size() < kRowsPerScan) break;
    after = rows.back().key;
  }
  Batch batch;
  MILLRACE_TRY(texts, state.scan(Table::programs, "", "", 100'000));
  for (const Row& text : texts) {
    const std::size_t end = text.key.find('\0');
    const bool own = text.key.compare(end + 1, prefix.size(), prefix) == 0;
    if (own && !named.contains(text.key.substr(0, end))) batch.erase(Table::programs, text.key);
  }
  return batch;
}

Result<PastJudgement> judge(const PastProgram& past, const Json& record, std::string_view stored,
                            WallTime now) {
  PastJudgement judgement;
  judgement.lost_field = lost_field(past.read, record);
  if (!judgement.lost_field.empty()) return judgement;
  const Json own = past.read.empty() ? record : reshaped(record, past.read);
  MILLRACE_TRY(data, map_record(*past.config, past.source, own, now));
  if (same_data(data, stored)) return judgement;
  MILLRACE_TRY(before, parse_json(stored));
  MILLRACE_TRY(types, events_of(*past.config, past.entity, before, data));
  judgement.types = std::move(types);
  return judgement;
}

}  // namespace millrace::canon
