#include "net/deadlines.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "millrace/result.hpp"

namespace millrace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {
constexpr milliseconds kSweepInterval{25};
}

struct Deadlines::Sweep {
  explicit Sweep(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
  bool armed = false;
};

/// The ring's head is a deadline that never fires.
struct Deadlines::Ring {
  struct Head : Deadline {
    using Deadline::Deadline;
    void on_deadline() override {}
  };
  explicit Ring(Deadlines& owner) : head(owner) {}

  void append(Deadline& entry) { append_to(head, entry); }
  static void append_to(Head& list, Deadline& entry) {
    entry.previous_ = list.previous_;
    entry.next_ = &list;
    list.previous_->next_ = &entry;
    list.previous_ = &entry;
  }
  bool empty() const { return head.next_ == &head; }

  Head head;
};

Deadline::Deadline(Deadlines& owner) : owner_(owner) {}
Deadline::~Deadline() {
  unlink();
}

void Deadline::unlink() {
  if (next_ == this) return;
  owner_.check_thread();
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = this;
}

void Deadline::set_deadline(steady_clock::time_point at) {
  at_ = at;
  if (next_ != this) return;
  owner_.check_thread();
  owner_.ring_->append(*this);
  owner_.arm();
}

void Deadline::set_deadline_after(milliseconds duration) {
  set_deadline(steady_clock::now() + duration);
}

Deadlines::Deadlines(asio::io_context& context)
    : ring_(std::make_unique<Ring>(*this)), sweep_(std::make_unique<Sweep>(context)) {}
Deadlines::~Deadlines() = default;

void Deadlines::check_thread() const {
  MILLRACE_INVARIANT(thread_ == std::thread::id() || thread_ == std::this_thread::get_id());
}

void Deadlines::shut_down() {
  sweep_.reset();
}

void Deadlines::arm() {
  if (!sweep_ || sweep_->armed) return;
  sweep_->armed = true;
  sweep_->timer.expires_after(kSweepInterval);
  sweep_->timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) sweep();
  });
}

void Deadlines::sweep() {
  sweep_->armed = false;
  const auto now = steady_clock::now();
  // Expired entries move to a ring of their own first: on_deadline may destroy any of them.
  Ring expired(*this);
  for (Deadline* entry = ring_->head.next_; entry != &ring_->head;) {
    Deadline* next = entry->next_;
    if (entry->at_ <= now) {
      entry->unlink();
      expired.append(*entry);
    }
    entry = next;
  }
  while (!expired.empty()) {
    Deadline* entry = expired.head.next_;
    entry->unlink();
    entry->clear_deadline();
    entry->on_deadline();
  }
  if (!ring_->empty()) arm();
}

}  // namespace millrace
