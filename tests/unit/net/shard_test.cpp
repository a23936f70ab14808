#include "net/shard.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <future>
#include <stdexcept>
#include <thread>

#include "net/callback.hpp"
#include "net/deadlines.hpp"
#include "net/reader_pool.hpp"
#include "net_test_support.hpp"

namespace millrace {
namespace {

using testing_net::run;

TEST(Shard, RunsPostsFromManyThreadsEachInItsOrder) {
  Shard shard;
  shard.start();
  constexpr int kThreads = 4;
  constexpr int kPosts = 5'000;
  std::vector<int> last(kThreads, -1);
  std::atomic<int> ran = 0;
  bool ordered = true;
  std::promise<void> all;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        shard.post([&, t, i] {
          ordered = ordered && last[t] == i - 1 && shard.on_thread();
          last[t] = i;
          if (++ran == kThreads * kPosts) all.set_value();
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  all.get_future().wait();
  EXPECT_TRUE(shard.stop(seconds(5)));
  EXPECT_TRUE(ordered);
}

TEST(Shard, GoesOnAfterAPostedTaskThrew) {
  Shard shard;
  shard.start();
  std::promise<void> after;
  shard.post([] { throw std::runtime_error("on purpose"); });
  shard.post([&] { after.set_value(); });
  after.get_future().wait();
}

TEST(ShardSet, SpreadsPartitionsOverShards) {
  ShardSet shards(3);
  EXPECT_EQ(&shards.of(0), &shards.at(0));
  EXPECT_EQ(&shards.of(5), &shards.at(2));
  EXPECT_EQ(shards.size(), 3u);
}

Awaitable<void> throw_something() {
  co_await sleep_for(milliseconds(1));
  throw std::runtime_error("on purpose");
}

Awaitable<void> sleep_long(std::shared_ptr<std::atomic<int>> ended) {
  struct AtEnd {
    std::shared_ptr<std::atomic<int>> count;
    ~AtEnd() { ++*count; }
  };
  const AtEnd at_end{ended};
  co_await sleep_for(std::chrono::hours(1));
}

TEST(TaskGroup, OutlivesATaskThatThrows) {
  Shard shard;
  shard.start();
  shard.spawn("thrower", throw_something());
  const auto ended = std::make_shared<std::atomic<int>>(0);
  shard.spawn("sleeper", sleep_long(ended));
  EXPECT_TRUE(shard.stop(seconds(5)));
  EXPECT_EQ(*ended, 1);
}

TEST(TaskGroup, CancelsSleepersWhenTheShardStops) {
  Shard shard;
  shard.start();
  const auto ended = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 100; ++i) shard.spawn("sleeper", sleep_long(ended));
  EXPECT_TRUE(shard.stop(seconds(5)));
  EXPECT_EQ(*ended, 100);
}

TEST(TaskGroup, GivesUpOnATaskThatCannotBeCancelledAndFreesIt) {
  std::move_only_function<void(int)> never_called;
  {
    Shard shard;
    shard.start();
    std::promise<void> waiting;
    auto start = [&](std::move_only_function<void(int)> done) {
      never_called = std::move(done);
      waiting.set_value();
    };
    auto wait = [](Awaitable<int> inner) -> Awaitable<void> { co_await std::move(inner); };
    shard.spawn("stuck", wait(await_callback<int>(shard, start)));
    waiting.get_future().wait();
    EXPECT_FALSE(shard.stop(milliseconds(50)));
    never_called = nullptr;
  }
}

Awaitable<void> notify_later(Notifier* notifier, int* order) {
  co_await sleep_for(milliseconds(1));
  EXPECT_EQ((*order)++, 0);
  notifier->notify();
}

Awaitable<void> await_notifier(Shard* shard) {
  Notifier notifier(shard->context());
  int order = 0;
  shard->spawn("notifier", notify_later(&notifier, &order));
  co_await notifier.wait();
  EXPECT_EQ(order++, 1);
  notifier.notify();
  const bool remembered = co_await notifier.wait_for(seconds(0));
  EXPECT_TRUE(remembered);
  const bool again = co_await notifier.wait_for(milliseconds(1));
  EXPECT_FALSE(again);
}

TEST(Notifier, WakesItsWaitersAndRemembersOneNotify) {
  Shard shard;
  shard.start();
  run(shard, await_notifier(&shard));
}

class CountingDeadline final : public Deadline {
 public:
  CountingDeadline(Deadlines& owner, int* fired, Notifier* done)
      : Deadline(owner), fired_(fired), done_(done) {}
  void on_deadline() override {
    ++*fired_;
    victim.reset();
    done_->notify();
  }
  std::unique_ptr<CountingDeadline> victim;  ///< destroyed when this one fires

 private:
  int* fired_;
  Notifier* done_;
};

Awaitable<void> fire_deadlines(Shard* shard) {
  Notifier done(shard->context());
  int fired = 0;
  CountingDeadline first(shard->deadlines(), &fired, &done);
  first.victim = std::make_unique<CountingDeadline>(shard->deadlines(), &fired, &done);
  CountingDeadline later(shard->deadlines(), &fired, &done);
  first.set_deadline_after(milliseconds(1));
  first.victim->set_deadline_after(milliseconds(1));
  later.set_deadline_after(std::chrono::hours(1));
  co_await done.wait();
  EXPECT_EQ(fired, 1);
  first.set_deadline_after(milliseconds(1));
  co_await done.wait();
  EXPECT_EQ(fired, 2);
}

TEST(Deadlines, FireOnceAndMayDestroyOneAnother) {
  Shard shard;
  shard.start();
  run(shard, fire_deadlines(&shard));
}

Awaitable<void> offload_some(Shard* shard, ReaderPool* pool) {
  for (int i = 0; i < 100; ++i) {
    auto work = [i, shard]() -> Result<std::string> {
      EXPECT_FALSE(shard->on_thread());
      return std::to_string(i);
    };
    const auto text = co_await offload(pool->next(), *shard, work);
    EXPECT_TRUE(shard->on_thread());
    EXPECT_EQ(text.value(), std::to_string(i));
  }
}

TEST(Offload, RunsOnAReaderAndResumesOnTheShard) {
  Shard shard;
  ReaderPool pool(2);
  shard.start();
  run(shard, offload_some(&shard, &pool));
  shard.stop(seconds(5));
}

Awaitable<void> offload_a_throw(Shard* shard, ReaderPool* pool) {
  auto work = []() -> int { throw std::runtime_error("on purpose"); };
  bool threw = false;
  try {
    co_await offload(pool->next(), *shard, work);
  } catch (const std::runtime_error&) {
    threw = true;
  }
  EXPECT_TRUE(threw);
}

TEST(Offload, TellsTheCoroutineThatItsWorkThrew) {
  Shard shard;
  ReaderPool pool(1);
  shard.start();
  run(shard, offload_a_throw(&shard, &pool));
  shard.stop(seconds(5));
}

TEST(ReaderPool, RunsWhatIsQueuedBeforeItEnds) {
  std::atomic<int> ran = 0;
  {
    ReaderPool pool(3);
    for (int i = 0; i < 1000; ++i) pool.next().post([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

Awaitable<void> await_at_once(Shard* shard) {
  auto start = [](std::move_only_function<void(std::unique_ptr<int>)> done) {
    done(std::make_unique<int>(7));
  };
  const auto value = co_await await_callback<std::unique_ptr<int>>(*shard, start);
  EXPECT_EQ(*value, 7);
}

TEST(AwaitCallback, TakesACompletionThatIsCalledAtOnce) {
  Shard shard;
  shard.start();
  run(shard, await_at_once(&shard));
}

}  // namespace
}  // namespace millrace
