# Medians and failures over the lines of w1_load, one JSON object a line.

def median:
  sort
  | if length == 0 then null
    else 50 * (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) | round / 100 end;

def figure($broker; $scenario; $key):
  [ .[] | select(.broker == $broker and .scenario == $scenario) | .[$key] | values ] | median;

# What Millrace reaches of the limit, in percent; null when one of them was not measured.
def share($scenario; $key):
  figure("limit"; $scenario; $key) as $limit
  | figure("millrace"; $scenario; $key) as $own
  | if $limit == null or $own == null then null else 100 * $own / $limit | round end;

# How much later the last percent of good orders arrives beside poisoned ones, in percent
# (semantics 5).
# Of medians: a stall of the disk doubles either side of a single round.
def slowed:
  figure("millrace"; "poisoned"; "p99_without_ms") as $without
  | figure("millrace"; "poisoned"; "p99_good_ms") as $beside
  | if $without == null then null else 100 * $beside / $without - 100 | round + 0 end;

# After kill -9 what was on the wire or not yet recorded is delivered again: `in_flight` of w1/, and
# 1,024 (semantics 5, "Progress").
def repeats_max:
  if .scenario | IN("kill", "kill-in-drain", "poisoned") then 64 + 1024 else 0 end;

def failures($share_min):
  [ ( .[] | select(.broker == "millrace")
      | (select(.lost > 0) | "\(.scenario): \(.lost) acknowledged orders were lost"),
        (select(.repeats > repeats_max)
         | "\(.scenario): \(.repeats) orders arrived twice, at most \(repeats_max) expected"),
        (select((.good_late // 0) > 0)
         | "\(.scenario): \(.good_late) good orders had not arrived when the load was over"),
        (select(.malformed > 0) | "\(.scenario): \(.malformed) bodies are not the expected event"),
        (select(.acked == 0) | "\(.scenario): nothing was acknowledged") ),
    ( slowed | values | select(. > 20)
      | "10,000 poisoned orders slow the good ones by \(.) %, at most 20 % expected" ),
    ( share("closed"; "e2e_per_s") | values | select(. < $share_min)
      | "end to end \(.) % of the limit, at least \($share_min) % expected" ) ];
