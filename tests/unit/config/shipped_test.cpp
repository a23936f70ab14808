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

constexpr std::string_view kSupplier = R"({"id":10,"ref":"SUP-1","name":"Holz AG","active":true,
  "is_company":true,"company_id":null,"vat":null,"email":null,"phone":null,"lang":"en_US",
  "street":null,"street2":null,"zip":null,"city":null,"country_id":null})";
constexpr std::string_view kPurchase = R"({"id":3,"name":"P00003","state":"purchase","company_id":1,
  "receipt_status":"pending","partner_id":{"id":10,"ref":"SUP-1","name":"Holz AG"},
  "partner_ref":null,"origin":null,"currency_id":{"id":1,"name":"EUR"},"amount_total":201.25,
  "date_planned":"2026-11-24T15:14:10Z","date_approve":"2026-11-24T15:14:10Z","order_line":[
  {"id":5,"display_type":null,"product_id":{"id":3,"default_code":"LEG"},"product_qty":50.0,
   "qty_received":0.0,"product_uom":{"id":1,"name":"Units"},"price_unit":3.5,
   "date_planned":"2026-11-24T15:14:10Z"},
  {"id":6,"display_type":"line_note","product_id":null,"product_qty":0.0,"qty_received":0.0,
   "product_uom":null,"price_unit":0.0,"date_planned":null}]})";
constexpr std::string_view kInvoice = R"({"id":6,"name":"INV/2026/00002","move_type":"out_invoice",
  "state":"posted","payment_state":"paid","company_id":1,
  "partner_id":{"id":9,"ref":"CUST-1","name":"Acme"},"ref":"PO-1",
  "payment_reference":"INV/2026/00002","invoice_origin":"S00002","reversed_entry_id":null,
  "invoice_date":"2026-11-24","invoice_date_due":"2026-11-24","currency_id":{"id":1,"name":"EUR"},
  "amount_untaxed":780.0,"amount_tax":117.0,"amount_total":897.0,"amount_residual":0.0,
  "invoice_line_ids":[{"id":14,"display_type":"product",
   "product_id":{"id":4,"default_code":"TABLE"},"name":"Oak table","quantity":2.0,
   "product_uom_id":{"id":1,"name":"Units"},"price_unit":390.0,"discount":0.0,
   "price_subtotal":780.0},
  {"id":15,"display_type":"line_section","product_id":null,"name":"Section","quantity":0.0,
   "product_uom_id":null,"price_unit":0.0,"discount":0.0,"price_subtotal":0.0}]})";
// A draft has no name in Odoo 18, and "/" before.
constexpr std::string_view kDraftBill = R"({"id":7,"name":null,"move_type":"in_invoice",
  "state":"cancel","payment_state":"not_paid","company_id":1,"partner_id":null,"ref":null,
  "payment_reference":null,"invoice_origin":null,"reversed_entry_id":null,"invoice_date":null,
  "invoice_date_due":null,"currency_id":{"id":1,"name":"EUR"},"amount_untaxed":0.0,
  "amount_tax":0.0,"amount_total":0.0,"amount_residual":0.0,"invoice_line_ids":[]})";
constexpr std::string_view kMove = R"({"id":10,"reference":"WH/IN/00002","origin":"P00003",
  "state":"done","company_id":1,"product_id":{"id":3,"default_code":"LEG"},
  "product_uom_qty":50.0,"quantity":50.0,"product_uom":{"id":1,"name":"Units"},
  "location_id":{"id":4,"complete_name":"Partners/Vendors","usage":"supplier"},
  "location_dest_id":{"id":8,"complete_name":"WH/Stock","usage":"internal"},"scrapped":false,
  "picking_id":{"id":4,"name":"WH/IN/00002"},"production_id":null,
  "raw_material_production_id":null,"date":"2026-11-24T15:14:11Z","move_line_ids":[
  {"id":9,"lot_id":{"id":1,"name":"L1"},"quantity":50.0}]})";

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
      {"supplier", kSupplier, "null", "SUP-1", "created"},
      {"purchase_order", kPurchase, R"({"state":"draft"})", "main/P00003", "confirmed"},
      {"purchase_order", kPurchase, R"({"state":"confirmed"})", "main/P00003", "changed"},
      {"invoice", kInvoice, R"({"state":"draft"})", "main/INV/2026/00002", "posted"},
      {"invoice", kInvoice, R"({"state":"posted","payment":"none"})", "main/INV/2026/00002",
       "paid"},
      {"invoice", kDraftBill, R"({"state":"draft"})", "main/draft 7", "cancelled"},
      {"stock_move", kMove, R"({"state":"ready"})", "main/WH/IN/00002/10", "done"},
      {"stock_move", kMove, R"({"state":"done"})", "main/WH/IN/00002/10", "changed"},
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

TEST_F(Shipped, ShipsNothingBeforeATransferIsDone) {
  const auto data = map(report_.config->entities.at("shipment"), *parse_json(kPicking));
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(write_json(find(*data, "lines")->get_array().at(0)),
            R"({"id":111,"sku":"TABLE","uom":"C62","ordered":3.0,"shipped":0.0})")
      << "Odoo's quantity is what is reserved until then";
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
