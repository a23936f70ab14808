// One reading serves all entities of a model, and each gets what it asked for.
#include "canon/collect_plan.hpp"

#include <gmock/gmock.h>

#include "canon_world.hpp"

namespace millrace::canon::test {
namespace {

using testing::ElementsAre;

std::string text(const FieldPlan& plan) {
  std::string out;
  for (const FieldPlan::Field& field : plan.fields) {
    out += field.name;
    if (!field.nested.empty()) out += "{" + text(field.nested) + "}";
    out += " ";
  }
  return out;
}

TEST(CollectPlan, ReadsTheUnionOfWhatAllEntitiesOfAModelNeed) {
  auto config = orders_config();
  config::Entity buyer = config->entities.find("order")->second;
  buyer.name = "buyer";
  buyer.from.front().read.fields = {{"state", {}}, {"partner_id", {{{"ref", {}}}}}};
  config->entities["buyer"] = buyer;
  order_source(*config).read.fields.push_back({"partner_id", {}});
  const auto plan = make_collect_plan(config);
  const ModelPlan* orders = plan->find("erp", "sale.order");
  ASSERT_NE(orders, nullptr);
  EXPECT_EQ(text(orders->fields), "state partner_id{ref } name ");
  EXPECT_THAT(orders->entities(), ElementsAre("buyer", "order"));
  EXPECT_FALSE(orders->targets[0].reshape);
  EXPECT_TRUE(orders->targets[1].reshape) << "it wants the plain id";
}

TEST(CollectPlan, ARelationThatOnlyOthersFollowIsAnIdAgain) {
  const Json value =
      *parse_json(R"({"id":7,"partner_id":{"id":3,"ref":"R"},"lines":[{"id":1},{"id":2}],)"
                  R"("tags":[4],"none":null})");
  FieldPlan own;
  own.fields = {{"partner_id", {}}, {"lines", {}}, {"tags", {}}, {"none", {}}};
  EXPECT_EQ(canonical_json(reshaped(value, own)),
            R"({"id":7,"lines":[1,2],"none":null,"partner_id":3,"tags":[4]})");
}

TEST(CollectPlan, KnowsWhichModelsRingWhichParents) {
  auto config = orders_config();
  order_source(*config).touched_by = {{"sale.order.line", "order_id"}};
  const auto plan = make_collect_plan(config);
  const ModelPlan* lines = plan->find("erp", "sale.order.line");
  ASSERT_NE(lines, nullptr);
  EXPECT_TRUE(lines->targets.empty());
  ASSERT_EQ(lines->parents.size(), 1u);
  EXPECT_EQ(lines->parents.front().model, "sale.order");
  EXPECT_EQ(text(lines->fields), "order_id ");
  EXPECT_EQ(plan->find("erp", "res.partner"), nullptr);
  EXPECT_EQ(plan->find("shop", ""), nullptr) << "what is posted is not read back";
}

TEST(CollectPlan, FindsTheIdOfAParentPlainOrFollowed) {
  EXPECT_EQ(reference_id(*parse_json(R"({"order_id":7})"), "order_id"), 7);
  EXPECT_EQ(reference_id(*parse_json(R"({"order_id":{"id":7}})"), "order_id"), 7);
  EXPECT_EQ(reference_id(*parse_json(R"({"order_id":null})"), "order_id"), 0);
  EXPECT_EQ(reference_id(*parse_json("{}"), "order_id"), 0);
}

}  // namespace
}  // namespace millrace::canon::test
