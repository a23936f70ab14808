// The configuration that ships, at work: source records as they are read from Odoo become canonical
// data that fits its schema, with the key and the event an operator expects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/host.hpp"
#include "config/schema.hpp"
#include "support.hpp"

namespace millrace::config {
namespace {

using testing::load_directory;

struct Story {
  std::string_view entity;
  std::string_view record;  ///< as the reader gives it
  std::string_view before;  ///< canonical data of the last projection, or null
  std::string_view key;
  std::string_view event;  ///< the first whose condition holds
};

constexpr std::string_view kPartner = R"({"id":1286,"ref":"CUST-CAP001","name":"Acme Möbel GmbH",
  "active":true,"is_company":true,"parent_id":null,"company_id":null,"vat":null,
  "email":"einkauf@acme.example","phone":"+49 30 1234567","lang":"de_DE","street":"Hauptstraße 1",
  "street2":null,"zip":"10115","city":"Berlin","country_id":{"id":57,"code":"DE"}})";
constexpr std::string_view kArchivedPartner = R"({"id":7,"ref":null,"name":"Gone","active":false,
  "is_company":false,"parent_id":null,"company_id":1,"vat":null,"email":null,"phone":null,
  "lang":null,"street":null,"street2":null,"zip":null,"city":null,"country_id":null})";
constexpr std::string_view kProduct = R"({"id":70,"default_code":"LEG-CAP001","barcode":null,
  "name":"Table leg","active":true,"type":"consu","tracking":"none","company_id":null,
  "uom_id":{"id":1,"name":"Units"},"categ_id":{"id":1,"name":"All"},"lst_price":8.0,"weight":2.5})";
constexpr std::string_view kOrder = R"({"id":55,"name":"S00055","state":"sale","company_id":1,
  "partner_id":{"id":1286,"ref":"CUST-CAP001","name":"Acme"},"order_line":[
  {"id":80,"display_type":null,"product_uom_qty":3.0,"price_unit":120.0,
   "product_uom":{"id":1,"name":"Units"},
   "product_id":{"id":71,"default_code":"TABLE","type":"consu"}},
  {"id":81,"display_type":"line_note","product_uom_qty":0.0,"price_unit":0.0,"product_uom":null,
   "product_id":null}]})";
constexpr std::string_view kProduction = R"({"id":12,"name":"WH/MO/00012","state":"confirmed",
  "company_id":1,"origin":"S00055","product_id":{"id":71,"default_code":"TABLE","name":"Table"},
  "product_qty":3.0,"product_uom_id":{"id":1,"name":"Units"},"qty_produced":0.0,
  "lot_producing_id":null,"bom_id":{"id":12,"code":null},"date_start":"2026-11-21T21:05:48Z",
  "date_deadline":null,"date_finished":"2026-11-21T22:05:48Z","move_raw_ids":[
  {"id":113,"state":"confirmed","product_id":{"id":70,"default_code":"LEG-CAP001"},
   "product_uom_qty":12.0,"product_uom":{"id":1,"name":"Units"}}]})";
constexpr std::string_view kPicking = R"({"id":39,"name":"WH/OUT/00032","state":"assigned",
  "company_id":1,"picking_type_code":"outgoing","origin":"S00055 - PO-CAP001-0",
  "scheduled_date":"2026-11-21T22:05:48Z","date_done":null,
  "partner_id":{"id":1286,"ref":"CUST-CAP001","name":"Acme"},"sale_id":{"id":55,"name":"S00055"},
  "backorder_id":null,"move_ids":[{"id":111,"state":"assigned",
  "product_id":{"id":71,"default_code":"TABLE"},"product_uom_qty":3.0,"quantity":3.0,
  "product_uom":{"id":1,"name":"Units"}}]})";

class Shipped : public ::testing::Test {
 protected:
  Shipped() : report_(load_directory(std::string(MILLRACE_SOURCE_DIR) + "/config")) {}

  void SetUp() override { ASSERT_TRUE(report_.config) << render(report_.problems); }

  /// What one source record becomes.
  Result<Json> map(const Entity& entity, const Json& record) const {
    const ConfigHost host(*report_.config, &report_.config->connections.at("odoo"));
    ExpressionContext context;
    context.host = &host;
    const Json now("2026-11-21T22:05:48Z");
    ExpressionBindings bindings;
    bindings.set("now", &now);
    context.bindings = &bindings;
    return entity.from.at(0).map.compiled->evaluate(record, context);
  }

  std::string first_event(const Entity& entity, const Json& data, const Json& before) const {
    ExpressionBindings bindings;
    bindings.set("before", &before);
    ExpressionContext context;
    context.bindings = &bindings;
    for (const EntityEvent& event : entity.events) {
      const auto holds = event.when.compiled->test(data, context);
      if (!holds) return holds.error().message;
      if (*holds) return event.name;
    }
    return "";
  }

  LoadReport report_;
};

TEST_F(Shipped, ProjectsRecordsOfOdooIntoDataThatFitsItsSchema) {
  const std::vector<Story> stories{
      {"customer", kPartner, "null", "CUST-CAP001", "created"},
      {"customer", kPartner, R"({"active":true})", "CUST-CAP001", "changed"},
      {"customer", kArchivedPartner, R"({"active":true})", "partner/7", "archived"},
      {"product", kProduct, "null", "LEG-CAP001", "created"},
      {"sales_order", kOrder, R"({"state":"draft"})", "main/S00055", "confirmed"},
      {"sales_order", kOrder, R"({"state":"confirmed"})", "main/S00055", "changed"},
      {"production_order", kProduction, "null", "main/WH/MO/00012", "released"},
      {"production_order", kProduction, R"({"state":"released"})", "main/WH/MO/00012", "changed"},
      {"shipment", kPicking, R"({"state":"waiting"})", "main/WH/OUT/00032", "ready"},
  };
  for (const Story& story : stories) {
    SCOPED_TRACE(std::string(story.entity) + " " + std::string(story.event));
    const Entity& entity = report_.config->entities.find(story.entity)->second;
    const Json record = *parse_json(story.record);
    const auto data = map(entity, record);
    ASSERT_TRUE(data) << data.error().message;
    const auto fits = SchemaValidator::compile(entity.schema)->validate(*data);
    EXPECT_TRUE(fits) << fits.error().message << "\n" << write_json(*data);
    const auto key = entity.key->compiled->evaluate(*data, {});
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(*key, Json(story.key));
    EXPECT_EQ(first_event(entity, *data, *parse_json(story.before)), story.event);
    if (entity.from[0].only) {
      EXPECT_TRUE(*entity.from[0].only->compiled->test(record, {}));
    }
  }
}

TEST_F(Shipped, LeavesNotesAndServicesOutOfAnOrder) {
  const Entity& entity = report_.config->entities.at("sales_order");
  const auto data = map(entity, *parse_json(kOrder));
  ASSERT_TRUE(data);
  EXPECT_EQ(write_json(*find(*data, "lines")),
            R"([{"id":80,"sku":"TABLE","price":120.0,"quantity":{"value":3.0,"uom":"C62"}}])");
}

TEST_F(Shipped, ParksAnUnknownUnitUntilATableRowIsAdded) {
  std::string text(kOrder);
  text.replace(text.find("Units"), 5, "Pallets");
  const auto data = map(report_.config->entities.at("sales_order"), *parse_json(text));
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, Errc::missing_reference) << data.error().message;
}

}  // namespace
}  // namespace millrace::config
