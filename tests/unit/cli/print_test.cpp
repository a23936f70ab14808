#include "cli/print.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/text.hpp"

namespace millrace::cli {
namespace {

const WallTime now = *parse_rfc3339("2026-11-21T22:30:00Z");

struct Shown {
  int code;
  std::string text;
};

Shown show(Printer print, std::string_view json) {
  const auto answer = parse_json(json);
  EXPECT_TRUE(answer.has_value()) << json;
  std::ostringstream out;
  const int code = print(out, *answer, now);
  return {code, out.str()};
}

TEST(PrintStatus, SaysFirstWhatIsWrongSinceWhenWhoseAndWhatToType) {
  const auto shown = show(print_status, R"({
    "name":"plant-lyon","environment":"prod","version":"0.1.0","generation":4,
    "started_at":"2026-11-21T20:00:00Z",
    "problems":[{"what":"connection mes is down: connection refused","since":"2026-11-21T22:18:00Z",
                 "owner":"plant-it@example.com","object":"mes",
                 "next":"millrace connections check mes"}],
    "routes":[{"name":"order-to-mes","state":"held_by_target","reason":"connection refused",
               "since":"2026-11-21T22:18:00Z","lag":12,"parked":0,"dead":1,"delivered_total":815,
               "oldest_undelivered_at":"2026-11-21T22:18:01.5Z",
               "oldest_undelivered_record":"odoo/sale.order/42","owner":"plant-it@example.com"},
              {"name":"b","state":"running","reason":"","since":null,"lag":0,"parked":0,"dead":0,
               "delivered_total":0,"oldest_undelivered_at":null,"owner":""}],
    "connections":[{"name":"mes","type":"http","state":"down","reason":"connection refused",
                    "since":"2026-11-21T22:18:00Z","in_flight":0}],
    "disk":{"log_bytes":3200000000,"free_fraction":0.41,"held_by":"order-to-mes"},
    "doorbells":{"waiting":3,"oldest_at":"2026-11-21T22:29:56Z"}})");
  EXPECT_EQ(shown.code, 1);
  EXPECT_EQ(shown.text,
            R"(WRONG: 1 thing
  ! connection mes is down: connection refused
      since 12 min ago (2026-11-21 22:18:00Z)
      owner plant-it@example.com
      next: millrace connections check mes

Oldest undelivered: odoo/sale.order/42 on order-to-mes, 11 min ago (2026-11-21 22:18:01Z)

ROUTE         STATE           LAG  PARKED  DEAD  DELIVERED  OWNER                 WHY
order-to-mes  held_by_target  12   0       1     815        plant-it@example.com  )"
            R"(connection refused, since 12 min ago (2026-11-21 22:18:00Z)
b             running         0    0       0     0

CONNECTION  TYPE  STATE  IN FLIGHT  WHY
mes         http  down   0          connection refused, since 12 min ago (2026-11-21 22:18:00Z)

Disk: 3.2 GB of log, 41 % free, held by order-to-mes
Doorbells: 3 waiting, the oldest since 4 s ago (2026-11-21 22:29:56Z)

plant-lyon (prod), millraced 0.1.0, generation 4, started 2 h ago (2026-11-21 20:00:00Z)
)");
}

TEST(PrintStatus, SaysSoWhenNothingIsWrong) {
  const auto shown =
      show(print_status, R"({"name":"x","problems":[],"routes":[],"connections":[]})");
  EXPECT_EQ(shown.code, 0);
  EXPECT_TRUE(shown.text.starts_with("Nothing is wrong.\n")) << shown.text;
}

TEST(PrintWhere, ShowsEveryHopOrWhatToTypeInstead) {
  const auto shown = show(print_where, R"({"key":"S42","records":[{"record":"odoo/sale.order/42",
    "entity":"sales_order","name":"lyon/S42","rev":4294967297,
    "xrefs":[{"system":"mes","id":"WO-7"}],
    "parked":[{"id":"p1","state":"dead","route":"order-to-mes","cause":"rejected",
               "reason":"422 bad sku","since":"2026-11-21T22:20:00Z"}],
    "hops":[{"at":"2026-11-21T22:18:00Z","stage":"inbox","what":"received","detail":""}]}]})");
  EXPECT_EQ(shown.code, 0);
  EXPECT_EQ(shown.text, R"(odoo/sale.order/42  (sales_order lyon/S42, rev 4294967297)
  ! dead on order-to-mes: rejected, 422 bad sku  since 10 min ago (2026-11-21 22:20:00Z)  (id p1)
  known to mes as WO-7
  WHEN                  STAGE  WHAT      DETAIL
  2026-11-21T22:18:00Z  inbox  received

)");
  const auto unknown = show(print_where, R"({"key":"S43","records":[]})");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.text.find("millrace fetch"), std::string::npos);
}

TEST(PrintDead, ListsAndShowsWhole) {
  const auto list = show(print_dead_list, R"({"items":[{"id":"7","route":"r","record":"a/1",
    "subject":"S1","cause":"rejected","attempts":3,"since":"2026-11-21T22:29:00Z"}],"total":9})");
  EXPECT_EQ(list.text.substr(0, list.text.find("next:")),
            R"(ID  ROUTE  RECORD  SUBJECT  CAUSE     ATTEMPTS  SINCE
7   r      a/1     S1       rejected  3         60 s ago (2026-11-21 22:29:00Z)
1 of 9; --limit shows more
)");
  EXPECT_EQ(show(print_dead_list, R"({"items":[],"total":0})").text, "No dead letters.\n");
  const auto letter = show(print_dead_letter, R"({"id":"7","cause":"rejected",
    "event":{"id":"e1"},"request":{"method":"POST"},"answer":{"status":422,"body":"no"}})");
  EXPECT_EQ(letter.text, R"(Dead letter 7
  id         7
  cause      rejected
Request
  {
    "method": "POST"
  }
Answer
  {
    "status": 422,
    "body": "no"
  }
Event
  {
    "id": "e1"
  }
)");
}

TEST(PrintReload, IsAFindingWhenNothingWasApplied) {
  const auto refused = show(print_reload, R"({"generation":4,"applied":false,"changes":[],
    "problems":[{"level":"error","file":"a.yaml","line":3,"column":5,"path":"route x",
                 "message":"m"},
                {"level":"error","message":"restart"}]})");
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.text,
            "a.yaml:3:5: error: route x: m\nerror: restart\n"
            "Nothing was applied; generation 4 goes on running.\n");
  const auto applied = show(print_reload, R"({"generation":5,"applied":true,"problems":[],
    "changes":[{"object":"order-to-mes","kind":"route","change":"changed"}]})");
  EXPECT_EQ(applied.code, 0);
  EXPECT_EQ(applied.text, "  changed    route order-to-mes\nGeneration 5 runs.\n");
}

TEST(PrintCheck, FailsWhenTheOtherSideDoes) {
  EXPECT_EQ(show(print_check, R"({"ok":true,"detail":"Odoo 18.0"})").text, "ok: Odoo 18.0\n");
  EXPECT_EQ(show(print_check, R"({"ok":false,"detail":"refused"})").code, 1);
}

TEST(Text, CannotMoveTheCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\x7f"), "a\\x1b[2Jb\\x0ac\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "1A"),
            "\\x9b1A");
  EXPECT_EQ(printable("Zürich é"), "Zürich é");
}

TEST(Text, TellsDurationsAsAPersonDoes) {
  EXPECT_EQ(duration_text(seconds(119)), "119 s");
  EXPECT_EQ(duration_text(seconds(120)), "2 min");
  EXPECT_EQ(duration_text(seconds(7200)), "2 h");
  EXPECT_EQ(duration_text(seconds(49 * 3600)), "2 days");
  EXPECT_EQ(duration_text(seconds(-5)), "0 s");
}

}  // namespace
}  // namespace millrace::cli
