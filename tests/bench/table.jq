# The rows of the table that tests/bench/run prints: label, limit, millrace, share; tab-separated.
include "verdict";

def cells: map(if . == null then "-" else tostring end) | @tsv;
def row($name; $scenario; $key):
  [ $name, figure("limit"; $scenario; $key), figure("millrace"; $scenario; $key), "" ] | cells;
def row_with_share($name; $scenario; $key):
  [ $name, figure("limit"; $scenario; $key), figure("millrace"; $scenario; $key),
    (share($scenario; $key) | values | "\(.) %") // "-" ] | cells;
def own($name; $scenario; $key):
  [ $name, "", figure("millrace"; $scenario; $key), "" ] | cells;

([ "W1, medians", "limit", "millrace", "share" ] | cells),
row_with_share("acked/s, 64 connections"; "closed"; "acked_per_s"),
row_with_share("end to end/s, 64 connections"; "closed"; "e2e_per_s"),
row("CPU s per 100k, flat out"; "closed"; "cpu_s_per_100k"),
row("CPU s per 100k, open loop"; "open"; "cpu_s_per_100k"),
row("ack p50 ms, open loop"; "open"; "ack_p50_ms"),
row("ack p99 ms, open loop"; "open"; "ack_p99_ms"),
row("end to end p50 ms, open loop"; "open"; "e2e_p50_ms"),
row("end to end p99 ms, open loop"; "open"; "e2e_p99_ms"),
row("RSS MB, idle"; "closed"; "rss_idle_mb"),
row("RSS MB, after flat out"; "closed"; "rss_mb"),
row("start ms"; "closed"; "start_ms"),
row("RSS MB with a backlog of 200k"; "backlog"; "rss_backlog_mb"),
row("drain of 200k, s"; "backlog"; "drain_s"),
row("cores busy with anything else"; "closed"; "other_cores"),
([ "p99 beside 10k poisoned orders", "",
   (slowed | values | "\(if . < 0 then "" else "+" end)\(.) %") // "-", "" ] | cells),
own("lost, flat out"; "closed"; "lost"),
own("lost, kill -9 in the flow"; "kill"; "lost"),
own("duplicates, kill -9 in the flow"; "kill"; "repeats"),
own("restart ms, kill -9 in the flow"; "kill"; "restart_ms"),
own("lost, kill -9 while 20k drain"; "kill-in-drain"; "lost"),
own("duplicates, kill -9 while 20k drain"; "kill-in-drain"; "repeats"),
own("same 1,000 after kill -9: repeats"; "repeat"; "repeats")
