#include "connectors/odoo/odoo_reader.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fake_odoo.hpp"

namespace millrace::connectors {
namespace {

using State = ReadRecord::State;
using test::FakeOdoo;

FieldPlan plan(std::vector<std::string> names) {
  FieldPlan made;
  for (auto& name : names) made.fields.push_back({std::move(name), {}});
  return made;
}

class OdooReaderTest : public testing::Test {
 protected:
  OdooReaderTest() {
    odoo_.fields["sale.order"] = {{"id", "integer"},
                                  {"name", "char"},
                                  {"active", "boolean"},
                                  {"amount_total", "monetary"},
                                  {"date_order", "datetime"},
                                  {"validity_date", "date"},
                                  {"note", "html"},
                                  {"partner_id", "many2one:res.partner"},
                                  {"order_line", "one2many:sale.order.line"},
                                  {"write_date", "datetime"},
                                  {"create_date", "datetime"}};
    odoo_.fields["res.partner"] = {
        {"name", "char"}, {"parent_id", "many2one:res.partner"}, {"limit", "float!"}};
    odoo_.fields["sale.order.line"] = {{"qty", "float"}, {"partner_id", "many2one:res.partner"}};
    for (int id = 1; id <= 5; ++id) order(id, fmt::format("\"partner_id\":{}", id));
    for (int id = 1; id <= 9; ++id) {
      odoo_.rows["res.partner"][id] =
          fmt::format(R"({{"id":{0},"name":"P{0}","parent_id":false}})", id);
    }
  }
  void order(int id, std::string members, std::string_view written = "2026-11-21 22:05:48") {
    odoo_.rows["sale.order"][id] =
        fmt::format(R"({{"id":{0},"name":"S{0}","write_date":"{1}","create_date":"{1}",{2}}})", id,
                    written, members);
  }
  Result<std::vector<ReadRecord>> read(std::vector<std::int64_t> ids, FieldPlan fields) {
    if (!reader_) reader_ = odoo_.reader();
    return test::run(reader_->read({"sale.order", std::move(ids), std::move(fields)}));
  }

  FakeOdoo odoo_;
  std::unique_ptr<OdooReader> reader_;
};

TEST_F(OdooReaderTest, AnswersEveryIdInTheOrderAskedWithOneCall) {
  const auto read_back = read({3, 1, 2}, plan({"name"}));
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json((*read_back)[0].value), R"({"id":3,"name":"S3"})");
  EXPECT_EQ((*read_back)[1].id, 1);
  EXPECT_EQ((*read_back)[2].write_date, "2026-11-21 22:05:48");
  EXPECT_EQ(odoo_.count("sale.order.read"), 1);
  EXPECT_EQ(odoo_.count("authenticate"), 1);
}

TEST_F(OdooReaderTest, AsksWithAllCompaniesTheLanguageAndArchivedRecords) {
  reader_ = odoo_.reader({1, 3});
  ASSERT_TRUE(read({1}, plan({"name"})));
  EXPECT_EQ(write_json(odoo_.last_context),
            R"({"active_test":false,"lang":"fr_FR","allowed_company_ids":[1,3]})");
  EXPECT_EQ(odoo_.last_kwargs.at("load"), Json(nullptr));
  EXPECT_EQ(odoo_.http.requests.back().target, "/base/jsonrpc");
  EXPECT_EQ(odoo_.http.timeouts.back(), seconds(120));
}

TEST_F(OdooReaderTest, DecodesByTheTypesOfTheModel) {
  order(1, R"("active":false,"amount_total":0.0,"date_order":"2026-11-21 22:05:48",
      "validity_date":"2026-12-01","note":false,"partner_id":[7,"Acme"],"order_line":[9,8])");
  order(2, R"("active":true,"amount_total":3.0,"date_order":false,"validity_date":false,
      "note":"<p>x</p>","partner_id":false,"order_line":[])");
  const auto fields = plan({"active", "amount_total", "date_order", "validity_date", "note",
                            "partner_id", "order_line", "write_date"});
  const auto read_back = read({1, 2}, fields);
  ASSERT_TRUE(read_back);
  EXPECT_EQ(write_json((*read_back)[0].value),
            R"({"id":1,"active":false,"amount_total":0.0,"date_order":"2026-11-21T22:05:48Z",)"
            R"("validity_date":"2026-12-01","note":null,"partner_id":7,"order_line":[9,8],)"
            R"("write_date":"2026-11-21T22:05:48Z"})");
  EXPECT_EQ(write_json((*read_back)[1].value),
            R"({"id":2,"active":true,"amount_total":3.0,"date_order":null,"validity_date":null,)"
            R"("note":"<p>x</p>","partner_id":null,"order_line":[],)"
            R"("write_date":"2026-11-21T22:05:48Z"})");
}

TEST_F(OdooReaderTest, ConfirmsAbsenceByReadingTheIdAlone) {
  const auto read_back = read({1, 77, 2}, plan({"name"}));
  ASSERT_TRUE(read_back);
  EXPECT_EQ((*read_back)[1].state, State::absent);
  EXPECT_EQ((*read_back)[2].state, State::found);
  EXPECT_EQ(odoo_.count("sale.order.read"), 2);
}

TEST_F(OdooReaderTest, BisectsARefusedBatchToTheGuiltyIds) {
  std::vector<std::int64_t> ids;
  for (int id = 1; id <= 200; ++id) {
    order(id, "\"partner_id\":1");
    ids.push_back(id);
  }
  odoo_.forbidden = {{"sale.order", 7}, {"sale.order", 150}};
  odoo_.poisoned = {{"sale.order", 8}};
  const auto read_back = read(ids, plan({"name"}));
  ASSERT_TRUE(read_back);
  for (const auto& record : *read_back) {
    const State wanted = record.id == 7 || record.id == 150 ? State::hidden
                         : record.id == 8                   ? State::failed
                                                            : State::found;
    EXPECT_EQ(record.state, wanted) << record.id;
  }
  EXPECT_EQ((*read_back)[7].problem, "builtins.ValueError: Expected singleton");
  EXPECT_LT(odoo_.count("sale.order.read"), 40);
}

TEST_F(OdooReaderTest, CallsNothingHiddenWhenTheLoginMayNotReadTheModel) {
  odoo_.denied = {"sale.order"};
  const auto read_back = read({1, 2, 3}, plan({"name"}));
  ASSERT_FALSE(read_back);
  EXPECT_EQ(read_back.error().code, Errc::peer_auth);
  EXPECT_EQ(odoo_.count("sale.order.read"), 1);
}

TEST_F(OdooReaderTest, CallsNothingHiddenWhenACompanyIsNotTheUsers) {
  odoo_.forbidden = {{"sale.order", 1}};
  reader_ = odoo_.reader({1, 3});
  const auto read_back = read({1}, plan({"name"}));
  ASSERT_FALSE(read_back);
  EXPECT_EQ(read_back.error().code, Errc::config);
  odoo_.user_companies = "[1, 3]";
  EXPECT_EQ(read({1}, plan({"name"})).value()[0].state, State::hidden);
}

TEST_F(OdooReaderTest, FollowsRelationsWithOneCallPerModel) {
  order(1, R"("partner_id":1,"order_line":[10,11])");
  order(2, R"("partner_id":1,"order_line":[12])");
  order(3, R"("partner_id":false,"order_line":[])");
  for (int id = 10; id <= 12; ++id) {
    odoo_.rows["sale.order.line"][id] =
        fmt::format(R"({{"id":{},"qty":2.0,"partner_id":{}}})", id, id - 7);
  }
  FieldPlan fields = plan({"name"});
  fields.fields.push_back({"partner_id", plan({"name"})});
  FieldPlan lines = plan({"qty"});
  lines.fields.push_back({"partner_id", plan({"name"})});
  fields.fields.push_back({"order_line", lines});
  const auto read_back = read({1, 2, 3}, fields);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json((*read_back)[0].value),
            R"({"id":1,"name":"S1","partner_id":{"id":1,"name":"P1"},"order_line":[)"
            R"({"id":10,"qty":2.0,"partner_id":{"id":3,"name":"P3"}},)"
            R"({"id":11,"qty":2.0,"partner_id":{"id":4,"name":"P4"}}]})");
  EXPECT_EQ(write_json((*read_back)[2].value),
            R"({"id":3,"name":"S3","partner_id":null,"order_line":[]})");
  EXPECT_EQ(odoo_.count("sale.order.line.read"), 1);
  EXPECT_EQ(odoo_.count("res.partner.read"), 2);
  EXPECT_EQ(odoo_.count("sale.order.read"), 2);
}

TEST_F(OdooReaderTest, AsksForAColumnWhereAPlanWantsIdsOnly) {
  odoo_.fields["res.partner"]["write_date"] = "datetime";
  odoo_.fields["res.partner"]["id"] = "integer";
  FieldPlan fields;
  fields.fields.push_back({"partner_id", plan({"id"})});
  const auto read_back = read({1}, fields);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json((*read_back)[0].value), R"({"id":1,"partner_id":{"id":1}})");
  const auto asked = [](const HttpRequest& request) {
    return request.body.find(R"("res.partner","read",[[1]],{"fields":["write_date"])") !=
           std::string::npos;
  };
  EXPECT_EQ(std::count_if(odoo_.http.requests.begin(), odoo_.http.requests.end(), asked), 1);
}

TEST_F(OdooReaderTest, ShowsRelatedRecordsItMayNotSeeWithTheirIdOnly) {
  order(1, R"("partner_id":1,"order_line":[10,11,12])");
  odoo_.rows["sale.order.line"][10] = R"({"id":10,"qty":1.0})";
  odoo_.rows["sale.order.line"][12] = R"({"id":12,"qty":3.0})";
  odoo_.forbidden = {{"res.partner", 1}, {"sale.order.line", 12}};
  FieldPlan fields;
  fields.fields.push_back({"partner_id", plan({"name"})});
  fields.fields.push_back({"order_line", plan({"qty"})});
  const auto read_back = read({1}, fields);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json((*read_back)[0].value),
            R"({"id":1,"partner_id":{"id":1,"name":null},)"
            R"("order_line":[{"id":10,"qty":1.0},{"id":12,"qty":null}]})");
}

TEST_F(OdooReaderTest, FailsARecordAloneWhenOneBelowItCannotBeRead) {
  odoo_.poisoned = {{"res.partner", 2}};
  FieldPlan fields;
  fields.fields.push_back({"partner_id", plan({"name"})});
  const auto read_back = read({1, 2}, fields);
  ASSERT_TRUE(read_back);
  EXPECT_EQ((*read_back)[0].state, State::found);
  EXPECT_EQ((*read_back)[1].state, State::failed);
  EXPECT_EQ((*read_back)[1].problem, "res.partner 2: builtins.ValueError: Expected singleton");
}

TEST_F(OdooReaderTest, ReadsAgainAParentThatMovedDuringItsNestedRead) {
  odoo_.before = [this](const std::string& call) {
    if (call == "res.partner.read" && odoo_.count(call) == 1) {
      order(2, "\"partner_id\":9", "2026-11-21 22:06:00");
    }
  };
  FieldPlan fields;
  fields.fields.push_back({"partner_id", plan({"name"})});
  const auto read_back = read({1, 2}, fields);
  ASSERT_TRUE(read_back);
  EXPECT_EQ(write_json((*read_back)[1].value), R"({"id":2,"partner_id":{"id":9,"name":"P9"}})");
  EXPECT_EQ((*read_back)[1].write_date, "2026-11-21 22:06:00");
  EXPECT_EQ(odoo_.count("sale.order.read"), 4);
}

TEST_F(OdooReaderTest, ReadsAgainAParentBelowAnotherThatMovedDuringItsNestedRead) {
  odoo_.fields["sale.order.line"]["write_date"] = "datetime";
  order(1, "\"order_line\":[7]");
  const auto line = [this](int partner, const char* written) {
    odoo_.rows["sale.order.line"][7] =
        fmt::format(R"({{"id":7,"qty":1.0,"partner_id":{},"write_date":"{}"}})", partner, written);
  };
  line(2, "2026-11-21 22:05:48");
  odoo_.before = [&](const std::string& call) {
    if (call == "res.partner.read" && odoo_.count(call) == 1) line(9, "2026-11-21 22:06:00");
  };
  FieldPlan line_fields;
  line_fields.fields.push_back({"partner_id", plan({"name"})});
  FieldPlan fields;
  fields.fields.push_back({"order_line", line_fields});
  const auto read_back = read({1}, fields);
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(write_json((*read_back)[0].value),
            R"({"id":1,"order_line":[{"id":7,"partner_id":{"id":9,"name":"P9"}}]})");
  EXPECT_EQ(odoo_.count("sale.order.read"), 2);
  EXPECT_EQ(odoo_.count("sale.order.line.read"), 4);
}

TEST_F(OdooReaderTest, GivesUpOnARecordThatMovesAllTheTimeAndKeepsTheOthers) {
  int second = 0;
  odoo_.before = [&](const std::string& call) {
    if (call == "res.partner.read") {
      order(2, "\"partner_id\":9", fmt::format("2026-11-21 22:06:{:02}", ++second));
    }
  };
  FieldPlan fields;
  fields.fields.push_back({"partner_id", plan({"name"})});
  const auto read_back = read({1, 2}, fields);
  ASSERT_TRUE(read_back);
  EXPECT_EQ((*read_back)[0].state, State::found);
  EXPECT_EQ((*read_back)[1].state, State::failed);
  EXPECT_EQ((*read_back)[1].problem, "sale.order 2 changed during each of 3 readings");
}

TEST_F(OdooReaderTest, RefusesAPlanThatDoesNotFitTheModel) {
  FieldPlan nested_char;
  nested_char.fields.push_back({"name", plan({"x"})});
  FieldPlan per_company;
  per_company.fields.push_back({"partner_id", plan({"limit"})});
  odoo_.fields["sale.order"]["their_limit"] = "float~partner_id.own_limit";
  odoo_.fields["res.partner"]["own_limit"] = "float~parent_id.own_limit";
  EXPECT_TRUE(read({1}, plan({"their_limit"})));
  odoo_.fields["res.partner"]["own_limit"] = "float~limit";
  reader_.reset();
  for (const FieldPlan& bad : {plan({"nmae"}), nested_char, per_company, plan({"their_limit"})}) {
    const auto read_back = read({1}, bad);
    ASSERT_FALSE(read_back);
    EXPECT_EQ(read_back.error().code, Errc::config) << read_back.error().message;
  }
  odoo_.fields.erase("sale.order");
  reader_.reset();
  EXPECT_EQ(read({1}, plan({"name"})).error().code, Errc::config);
}

TEST_F(OdooReaderTest, AsksForTheFieldsOnceAndAgainWhenOneIsUnknown) {
  ASSERT_TRUE(read({1}, plan({"name"})));
  ASSERT_TRUE(read({2}, plan({"name"})));
  EXPECT_EQ(odoo_.count("sale.order.fields_get"), 1);
  odoo_.fields["sale.order"]["x_code"] = "char";
  ASSERT_TRUE(read({1}, plan({"x_code"})));
  EXPECT_EQ(odoo_.count("sale.order.fields_get"), 2);
  odoo_.fields["sale.order"].erase("x_code");
  EXPECT_EQ(read({1, 2}, plan({"x_code"})).error().code, Errc::config);
}

TEST_F(OdooReaderTest, ReportsARefusedLoginAndTriesItAnewNextTime) {
  odoo_.key = "other";
  EXPECT_EQ(read({1}, plan({"name"})).error().code, Errc::peer_auth);
  odoo_.key = "key";
  EXPECT_TRUE(read({1}, plan({"name"})));
  odoo_.key = "rotated";
  EXPECT_EQ(read({1}, plan({"name"})).error().code, Errc::peer_auth);
  odoo_.key = "key";
  EXPECT_TRUE(read({1}, plan({"name"})));
  EXPECT_EQ(odoo_.count("authenticate"), 3);
}

TEST_F(OdooReaderTest, LogsInAgainOnceWhenTheSessionIsLost) {
  ASSERT_TRUE(read({1}, plan({"name"})));
  odoo_.raw["sale.order.read"] = test::odoo_error("odoo.http.SessionExpiredException", "x");
  odoo_.before = [this](const std::string& call) {
    if (call == "authenticate") odoo_.raw.clear();
  };
  EXPECT_TRUE(read({1}, plan({"name"})));
  odoo_.before = nullptr;
  odoo_.raw["sale.order.read"] = test::odoo_error("odoo.http.SessionExpiredException", "x");
  EXPECT_EQ(read({1}, plan({"name"})).error().code, Errc::peer_auth);
}

TEST_F(OdooReaderTest, PassesOnWhatEndsTheWholeCall) {
  ASSERT_TRUE(read({1}, plan({"name"})));
  odoo_.raw["sale.order.read"] =
      test::odoo_error("psycopg2.errors.SerializationFailure", "could not serialize");
  EXPECT_EQ(read({1, 2}, plan({"name"})).error().code, Errc::peer_unavailable);
  odoo_.raw["sale.order.read"] = R"({"jsonrpc": "2.0", "id": 7})";
  EXPECT_EQ(read({1, 2}, plan({"name"})).error().code, Errc::protocol);
  odoo_.raw["sale.order.read"] = R"({"jsonrpc": "2.0", "id": 7, "result": [{"name": "x"}]})";
  EXPECT_EQ(read({1, 2}, plan({"name"})).error().code, Errc::protocol);
  odoo_.http.handler = [](const HttpRequest&) -> Result<HttpResponse> {
    return fail(Errc::unanswered, "closed");
  };
  EXPECT_EQ(read({1, 2}, plan({"name"})).error().code, Errc::unanswered);
}

TEST_F(OdooReaderTest, RefusesMoreIdsThanABatchHolds) {
  EXPECT_EQ(read(std::vector<std::int64_t>(201, 1), plan({"name"})).error().code,
            Errc::invalid_argument);
}

TEST_F(OdooReaderTest, ListsInIdOrderWithTheDomainAndTheLastId) {
  odoo_.raw["sale.order.search_read"] =
      R"({"jsonrpc":"2.0","id":1,"result":[{"id":5,"write_date":"w","create_date":false}]})";
  reader_ = odoo_.reader();
  const auto listed = test::run(
      reader_->list({"sale.order", parse_json(R"([["state","=","sale"]])").value(), "", 4, 100}));
  ASSERT_TRUE(listed) << listed.error().message;
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().id, 5);
  EXPECT_EQ(listed->front().create_date, "");
  const std::string& body = odoo_.http.requests.back().body;
  EXPECT_NE(body.find(R"("domain":[["id",">",4],["state","=","sale"]])"), std::string::npos)
      << body;
  EXPECT_NE(body.find(R"("order":"id","limit":100)"), std::string::npos) << body;
}

TEST_F(OdooReaderTest, TakesTheDatabasesClockFromItsOwnLogin) {
  reader_ = odoo_.reader();
  const auto time = test::run(reader_->server_time());
  ASSERT_TRUE(time) << time.error().message;
  EXPECT_EQ(*time, "2026-11-21 22:05:48");
  EXPECT_EQ(odoo_.calls.front(), "authenticate");
}

TEST_F(OdooReaderTest, ChecksVersionLoginAndCompanies) {
  reader_ = odoo_.reader({1});
  EXPECT_EQ(test::run(reader_->check()).value(), "Odoo 18.0-20250421, user 2");
  reader_ = odoo_.reader({1, 3});
  EXPECT_EQ(test::run(reader_->check()).error().code, Errc::config);
}

TEST(OdooPacer, GivesOneTurnPerIntervalAndRefusesAnEndlessQueue) {
  test::FakeClock clock;
  std::vector<milliseconds> slept;
  OdooPacer pacer(seconds(1), clock, [&slept](milliseconds wait) -> Awaitable<void> {
    slept.push_back(wait);
    co_return;
  });
  for (int turn = 0; turn < 3; ++turn) EXPECT_TRUE(test::run(pacer.turn()));
  EXPECT_EQ(slept, (std::vector<milliseconds>{seconds(1), seconds(2)}));
  clock.boot += std::chrono::seconds(10);
  EXPECT_TRUE(test::run(pacer.turn()));
  EXPECT_EQ(slept.size(), 2U);
  for (int turn = 0; turn < 600; ++turn) EXPECT_TRUE(test::run(pacer.turn()));
  EXPECT_EQ(test::run(pacer.turn()).error().code, Errc::overloaded);
}

}  // namespace
}  // namespace millrace::connectors
