#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// Every limit of Acta, each with its reason and with what happens when it is reached.
namespace acta::inline base::limits {

/// A text key, in bytes. Holds any UUID or exchange order id as text and keeps a record's header
/// within two cache lines. There is no stream_id of a longer one: stream_id::from_text() is empty.
inline constexpr std::size_t max_key_size = 64;

/// One event's FlatBuffer, in bytes. Larger documents belong beside the log with a reference in it.
/// A larger event fails its command with errc::too_large; nothing of the command is stored.
inline constexpr std::size_t max_payload_size = std::size_t{1} << 20U;

/// One event's metadata, in bytes (the header stores the size in 16 bits). Room in the record; no
/// command fills it yet.
inline constexpr std::size_t max_metadata_size = 0xffff;

/// One event as JSON, in bytes. A payload at its limit needs a third of it; a crafted one, whose
/// parts are shared many times, could grow without end. More is refused: errc::too_large.
inline constexpr std::size_t max_json_size = std::size_t{64} << 20U;

/// Events of one command (the header counts them in 16 bits). More fail the command with
/// errc::too_large; nothing of it is stored.
inline constexpr std::size_t max_events_per_command = 0xffff;

/// Records of one command, in bytes; a single commit must be able to hold it. As above.
inline constexpr std::size_t max_command_size = std::size_t{64} << 20U;

/// Categories and event types of one store (16-bit ids in the header, 0 is "none").
/// Opening with more is refused: errc::too_large.
inline constexpr std::size_t max_types = 0xffff;

/// Address space reserved for a store's log, in bytes: about 1.5 billion events of 150 bytes. The
/// file grows only as it is written, so unused space costs nothing. A full map fails the commit
/// with errc::map_full; reopen with log_options::map_size raised.
inline constexpr std::size_t default_map_size = std::size_t{1} << 38U;

/// Durability `process`: how long after a commit the background sync begins. With a sync of 1 to 5
/// ms, a power loss takes the last 15 ms at most on a common SSD; the device is asked at most 100
/// times a second.
inline constexpr std::chrono::milliseconds default_sync_every{10};

/// Read transactions open at one time on a store, all processes together (LMDB's reader table).
/// One more is refused: errc::overloaded, naming the table.
inline constexpr unsigned max_readers = 254;

/// Records after which a group commit takes no further command; they wait for the next. With the
/// command that reaches it, taken whole, a commit stays under LMDB's 131,071 dirty pages (512 MiB),
/// where it would start to spill.
inline constexpr std::size_t max_commit_size = std::size_t{64} << 20U;

/// Commands accepted by an engine and not yet settled, by default. One more is refused:
/// errc::overloaded. At 1,000,000 commands/s this is 65 ms of work.
inline constexpr std::size_t default_max_in_flight = std::size_t{1} << 16U;

/// The most engine_options::workers may be: threads far beyond any machine's cores, at which a
/// system may not give more. More is refused: errc::invalid_argument.
inline constexpr unsigned max_workers = 1'024;

/// Commands that wait for one aggregate, by default; one more is refused: errc::overloaded. A
/// quarter of what may be in flight, so that one busy aggregate leaves room for others.
inline constexpr std::size_t default_max_mailbox = default_max_in_flight / 4;

/// Aggregates of one atomic command: all of them stand still while it is committed. More, or none,
/// are refused: errc::invalid_argument.
inline constexpr std::size_t max_aggregates_per_command = 16;

/// Aggregates that an engine loads at the same time, by default: as many reads as a disk takes at
/// once; more would only make each of them slower. Further ones wait.
inline constexpr std::size_t default_max_recoveries = 64;

/// An aggregate that could not be loaded is not tried again for so long, doubled each time it fails
/// again, up to the second: a damaged stream must not keep the disk and the workers busy. Commands
/// are refused with the same error meanwhile.
inline constexpr std::chrono::milliseconds first_recovery_backoff{100};
inline constexpr std::chrono::milliseconds max_recovery_backoff{30'000};

/// Aggregates that an engine remembers as not to be loaded again at once: some 300 bytes each with
/// the reason, 5 MB. So many are not damaged one by one: it is their disk. With one more, any of
/// them is forgotten, and so tried again with its next command, after 100 ms at first again.
inline constexpr std::size_t max_held_back = 16'384;

/// Aggregates are dropped until so much of engine_options::memory_budget is taken, in 64ths, once
/// 60 of them are: so the budget is not reached while they are looked for, and the search, which
/// looks at every aggregate, is worth it.
inline constexpr std::size_t passivation_begins_at = 60;
inline constexpr std::size_t passivation_ends_at = 54;

/// Of so many commands one is timed through all stages, by default: reading the clock six times
/// costs a tenth of a command.
inline constexpr unsigned default_latency_sample = 64;

/// Command ids an aggregate remembers, by default: its newest so many commands that stored events
/// are recognised when repeated; an older one, or one that stored none, is decided anew. 24 bytes
/// each, four of them within the actor.
inline constexpr std::size_t default_repeat_window = 16;

/// The most engine_options::repeat_window may be: they are searched one by one. More is refused:
/// errc::invalid_argument.
inline constexpr std::size_t max_repeat_window = 65'536;

/// Commands a process manager answers one event with: ids have 24 bits for the number. With more it
/// stops: errc::too_large.
inline constexpr std::size_t max_commands_per_seen_event = std::size_t{1} << 24U;

/// Instances of a process manager that wait for an outcome, by default; meanwhile it takes no
/// further events. A group commit is seldom larger, and an engine's default_max_in_flight far.
inline constexpr std::size_t default_process_under_way = 256;

/// Positions of the log from one note of a process manager's progress to the next, by default: when
/// it is started again it looks for its own commands in so many, some ms of reading, and in those
/// behind them that were not for it.
inline constexpr std::uint64_t default_process_note_every = 4'096;

/// Where no event was for it, a process manager notes its progress as many times more seldom: so
/// that it need not read them again, and notes are few. In a store of more managers than this, with
/// `note_every` at 1, each would note that others did, without end.
inline constexpr std::uint64_t process_idle_notes = 16;

/// A process manager's command that found no room, or a disk that failed, is sent again after so
/// long, doubled each time up to the second.
inline constexpr std::chrono::milliseconds first_process_backoff{10};
inline constexpr std::chrono::milliseconds max_process_backoff{10'000};

/// The largest position: 40 bits, 1.1 million million events. The index and its parts count on it.
inline constexpr std::uint64_t max_position = (std::uint64_t{1} << 40U) - 1;

/// Events in one entry of the stream index: 640 bytes of positions, so that an entry stays within a
/// page with others, and adding one event copies little.
inline constexpr std::size_t index_chunk = 128;

/// Memory of the stream index for what is not on disk yet, in bytes, by default: some 10 million
/// events of a million streams, two halves of which one is written while the other is filled. When
/// both are full the index waits for its disk, and an engine refuses commands (errc::overloaded).
inline constexpr std::size_t default_index_memory = std::size_t{256} << 20U;

/// A snapshot's state, in bytes. It is made by the aggregate's thread, between two commands, and
/// held in memory until it is written. A larger one is refused with errc::too_large, which is a
/// warning of the engine.
inline constexpr std::size_t max_snapshot_size = std::size_t{64} << 20U;

/// Newest snapshots kept of each stream, by default: one, and one to fall back on.
inline constexpr std::size_t default_snapshots_kept = 2;

/// Events of an aggregate from one snapshot to the next, by default: what loading reads at most,
/// but for the events of commands under way.
inline constexpr std::uint64_t default_snapshot_every = 1'000;

/// Snapshots taken and not yet written, in bytes. While there are more, no further one is taken:
/// the aggregate takes it with a later command.
inline constexpr std::size_t max_snapshots_waiting = std::size_t{64} << 20U;

/// Timers of one aggregate that are pending at a time: they are searched one by one, and are in
/// each snapshot, 16 bytes each. A command that would leave more is refused: errc::too_large.
inline constexpr std::size_t max_pending_timers = 1'024;

/// Timers that are due and sent to their aggregates and have not fired yet, all together; further
/// ones wait for these. Few beside max_in_flight, so that many that are overslept leave callers
/// room.
inline constexpr std::size_t max_timers_under_way = 1'024;

/// A timer that could not fire, as on_timer() threw or its aggregate could not be loaded, is tried
/// again after so long, on the engine's clock, doubled each time up to the second.
inline constexpr std::chrono::milliseconds first_timer_backoff{100};
inline constexpr std::chrono::milliseconds max_timer_backoff{60'000};

/// Log positions from one checkpoint of the pending timers to the next, while an engine runs: what
/// is read again at most when it was killed, a second's work.
inline constexpr std::uint64_t timer_checkpoint_every = 1'000'000;

/// While it sleeps until a timer is due on a clock that runs, an engine looks at it as often: what
/// a wall clock that was set anew delays a timer by, at most.
inline constexpr std::chrono::milliseconds max_timer_sleep{1'000};

/// A line of an export, in bytes: a record of the largest sizes takes 1.5 MiB, the rest is for what
/// is shown beside it, and for the names and schemas of the first line. An import refuses a longer
/// one: errc::too_large.
inline constexpr std::size_t max_json_line = std::size_t{256} << 20U;

/// Records that a copy of a log (backup, import) commits at a time, in bytes: a sync is little
/// beside it, and the memory it takes too.
inline constexpr std::size_t copy_batch_size = std::size_t{4} << 20U;

/// Records a log cursor hands out at a time. Large enough to hide the call, small enough for L1.
inline constexpr std::size_t cursor_batch = 128;

/// Records that a view takes in one transaction, by default: what a commit costs is little beside
/// them, and whoever waits for the view waits some milliseconds at most.
inline constexpr std::size_t view_batch = 4'096;

/// Positions that a projector looks at before it lets go of the log's snapshot, and of whoever
/// wants to pause it: some milliseconds where the view wants none of them.
inline constexpr std::uint64_t view_window = std::uint64_t{1} << 16U;

/// How often a view in memory that is far behind, by more than view_window, shows where it is; less
/// often where that, a copy of the model, takes more than a tenth of the time.
inline constexpr std::chrono::milliseconds view_show_every{20};
inline constexpr int view_show_share = 10;

/// Dead letters of a view. With one more its projector stops: errc::overloaded. By then it is the
/// handler that is broken, not an event.
inline constexpr std::size_t max_dead_letters = std::size_t{1} << 16U;

/// A key of a view's table as it is stored, in bytes: what LMDB takes, in whole eights. A larger
/// one is refused: errc::too_large.
inline constexpr std::size_t max_view_key = 504;

/// A value in a view's table, in bytes: a step holds what it writes in memory until it commits.
/// A larger one is refused: errc::too_large.
inline constexpr std::size_t max_view_value = std::size_t{64} << 20U;

/// Steps of a view on disk from one sync to the next: a sync takes milliseconds, and so many steps
/// are done again in less after a crash.
inline constexpr unsigned view_sync_every = 64;

/// Events that a subscriber gets at a time, by default: enough that what a batch costs, a read
/// transaction and two allocations, is little beside them.
inline constexpr std::size_t subscription_buffer = 256;

/// Bytes of events in a batch of a subscription, after which it takes no further one.
inline constexpr std::size_t max_buffer_size = std::size_t{4} << 20U;

/// The newest events of a stream that a subscription to it looks up in the index, when it is
/// opened; where more lie behind its position it looks at the log's headers instead. 32 KiB.
inline constexpr std::size_t subscription_history = 4'096;

/// The longest pause of a projector before it tries again.
inline constexpr std::chrono::milliseconds max_view_pause{60'000};

/// How long a view waits for a SQLite file that another process, a person's shell say, holds
/// locked. Then the step fails, errc::store_in_use, and is tried again as its projector's policy
/// has it.
inline constexpr std::chrono::milliseconds sqlite_lock_wait{1'000};

/// A SQLite view's pages in memory, of its writer, in bytes: random inserts to the indices of some
/// million rows find theirs. A larger step spills to the write-ahead log.
inline constexpr std::size_t sqlite_cache_size = std::size_t{64} << 20U;

/// Pages in a SQLite view's write-ahead log before they are taken to the file, 16 MiB: that syncs
/// twice, which a catch-up would else do every few steps. Readers find a page there by its hash.
inline constexpr unsigned sqlite_log_pages = 4'096;

/// Connections that a SQLite view keeps for its readers. With more at a time the others are opened
/// and closed, some 100 us each.
inline constexpr std::size_t sqlite_readers_kept = 8;

/// Statements that a connection keeps prepared: those of a program, some KiB each. Further ones are
/// prepared each time.
inline constexpr std::size_t sqlite_statements = 256;

/// Pages of a log's file that are checked before LMDB, which trusts them, may read it: 64 MiB of 4
/// KiB pages, some 50 ms. A smaller store is checked whole; of a larger one the pages that lead to
/// others and the last ones are: verify_store() checks all.
inline constexpr std::uint64_t max_pages_checked_at_open = 16'384;

/// One value in a file that is read without LMDB, in bytes: over any record, schema and list of
/// free pages. The size of a larger one is taken for damage.
inline constexpr std::uint64_t max_stored_value_size = std::uint64_t{256} << 20U;

} // namespace acta::inline base::limits
