#pragma once

#include <concepts>
#include <memory>
#include <ostream>
#include <utility>

/// Replies as the test kit of testing.hpp has them.
namespace acta::domain::testing {

/// What a command was answered with, of any type; empty for commands without replies and for those
/// that were rejected. Copies share it.
class any_reply {
public:
  any_reply() = default;

  template <class Command>
  [[nodiscard]] static any_reply of(typename Command::reply value) {
    any_reply made;
    made.held_ = std::make_shared<const typed<Command>>(std::move(value));
    return made;
  }

  /// nullptr if it is empty, or another command's.
  template <class Command>
  [[nodiscard]] const typename Command::reply* as() const noexcept {
    const auto* found = dynamic_cast<const typed<Command>*>(held_.get());
    return found != nullptr ? &found->value : nullptr;
  }

  /// True also of those whose type has no ==.
  friend bool operator==(const any_reply& one, const any_reply& other) {
    if (!one.held_ || !other.held_)
      return one.held_ == other.held_;
    return one.held_->same(*other.held_);
  }
  /// Prints ", and replied VALUE", without the value where its type has no <<; nothing if empty.
  friend std::ostream& operator<<(std::ostream& out, const any_reply& of) {
    if (of.held_)
      of.held_->print(out << ", and replied");
    return out;
  }

private:
  struct holder {
    virtual ~holder() = default;
    [[nodiscard]] virtual bool same(const holder& other) const = 0;
    virtual void print(std::ostream& out) const = 0;
  };
  template <class Command>
  struct typed final : holder {
    explicit typed(typename Command::reply of) : value(std::move(of)) {}
    [[nodiscard]] bool same(const holder& other) const override {
      const auto* found = dynamic_cast<const typed*>(&other);
      if constexpr (std::equality_comparable<typename Command::reply>)
        return found != nullptr && found->value == value;
      else
        return found != nullptr;
    }
    void print(std::ostream& out) const override {
      if constexpr (requires { out << value; })
        out << ' ' << value;
    }
    typename Command::reply value;
  };

  std::shared_ptr<const holder> held_;
};

} // namespace acta::domain::testing
