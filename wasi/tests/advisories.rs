//! What was found in other runtimes, and where we test for it. What concerns the core engine is in `spec-tests/tests/hostile`, what
//! concerns the canonical ABI in `runtime/src/component/tests/hostile.rs`.
//!
//! Classes: E paths and permissions, F handles and descriptors, G memory of the host sized by the guest, I what a record or instance hands
//! over of others, J panics, K metering and deadlines, L HTTP. Tests are named by file and name: `host/...` and `preview1/...` here, the
//! others by their crate. The test at the end sees that each of them is there.
//!
//! | class, defect | what it was | WASI 0.2 | preview 1 |
//! |---|---|---|---|
//! | E GHSA-vqjp-4c8c-hfgg, RUSTSEC-2026-0269 | a trailing `/` on a link leads out | `host/paths::no_path_that_leaves_the_directory_opens_or_tells_anything`, `host/paths::a_trailing_slash_never_follows_the_last_link_of_a_call_on_a_name` | `preview1/escapes::no_function_reaches_outside` |
//! | E GHSA-m9f7-9w4p-gv38 | rename of `link/` leads out | `host/paths::renaming_a_link_with_a_trailing_slash_touches_nothing_outside` | `preview1/escapes::no_function_reaches_outside` |
//! | E CVE-2026-47261, GHSA-2r75-cxrj-cmph | truncation through a read-only grant | `host/paths::nothing_changes_through_a_read_only_grant` | `preview1/rights::nothing_changes_beneath_a_read_only_directory` |
//! | E CVE-2026-58494, GHSA-4ch3-9j33-3pmj | the destination's grant was not asked | `host/paths::renames_and_links_ask_both_ends` | `preview1/rights::both_ends_of_a_link_or_rename_must_be_writable` |
//! | E CVE-2024-38358 | creating through a link | `host/paths::creating_through_a_link_stays_beneath` | `preview1/escapes::no_function_reaches_outside` |
//! | E CVE-2023-51661, GHSA-4mq4 | the working directory was granted | `host/paths::without_a_grant_there_is_no_directory_at_all` | `preview1/calls::without_a_grant_there_is_no_directory` |
//! | E wazero #2321, walrus #458 | no containment at all | `host/paths::a_link_out_is_told_of_but_not_followed`, `host/paths::calls_on_names_refuse_every_escape` | `preview1/escapes::odd_paths_have_their_error_codes` |
//! | E CVE-2025-43853 | links that a guest makes | `host/paths::a_link_with_an_absolute_target_cannot_be_made_and_one_that_escapes_cannot_be_followed` | `preview1/files::names_are_linked_renamed_and_read`, `preview1/escapes::no_function_reaches_outside` |
//! | E all | whatever tree, whoever renames meanwhile | `host/model::a_path_names_what_the_model_says`, `host/model::nothing_outside_is_read_or_changed_while_another_thread_changes_the_tree`, `host/race::a_racing_rename_never_leads_the_kernels_resolution_outside`, `host/race::a_racing_rename_never_leads_the_walk_outside` | `preview1/model::a_path_names_what_the_model_says`, `preview1/model::nothing_outside_is_read_or_changed_while_another_thread_changes_the_tree` |
//! | E CVE-2024-51745, CVE-2024-51756 | names of devices | none: no such system | none: no such system |
//! | E GHSA-hmmr-87qq-258j, GHSA-r9vm-8mq9-73g9 | some uses of a socket were not asked for | `host/network::a_grant_covers_no_more_than_it_says` | none: it opens no sockets |
//! | E wasmtime #13544 | directories whose names overlap | `cli/usage::directories_whose_names_overlap_are_told_of` | `cli/usage::directories_whose_names_overlap_are_told_of` |
//! | F CVE-2025-53901, GHSA-fm79-3f68-h2fc | renumbering to what is closed, or itself | none: it has no numbers | `preview1/rights::renumbering_works_for_all_pairs_and_never_ends_the_host` |
//! | F CVE-2026-54786, GHSA-3p27-qvp9-27qf | what was renumbered over stayed open | `host/files::opening_and_dropping_a_hundred_thousand_times_leaves_no_handle` | `preview1/rights::a_hundred_thousand_renumberings_leave_no_handle_behind` |
//! | F GHSA-gqmc-89g8-p25r | an output that goes nowhere | `host/streams::by_default_input_is_at_its_end_and_output_goes_nowhere` | `preview1/calls::standard_streams_are_those_granted_byte_for_byte` |
//! | F all | opening and closing in any order | `host/files::a_guest_that_never_closes_runs_into_its_limit_and_not_into_the_hosts`, `host/budgets::open_files_and_sockets_have_one_limit_and_a_stream_keeps_its_file_open`, `host/budgets::a_lookup_takes_a_handle_until_it_is_answered_and_dropped`, `host/paths::a_path_of_many_levels_takes_few_handles` | `preview1/limits::opening_renumbering_and_closing_in_any_order_is_what_a_simple_table_says`, `preview1/rights::descriptors_have_a_limit_and_closing_makes_room`, `preview1/rights::a_directory_that_is_being_listed_takes_a_second_handle` |
//! | G CVE-2026-27204, GHSA-852m-cvvp-9p4w | handles, random bytes, lists without limit | `linked::a_guest_that_collects_handles_traps_at_the_limit`, `host/clocks_and_random::random_bytes_come_in_any_number_up_to_a_limit_and_beyond_it_trap`, `cli/budgets::a_guest_that_tries_to_pass_its_ceiling_stays_within_16_mib_of_it`, `host/keyvalue::a_key_named_many_times_is_not_answered_without_end` | `preview1/rights::descriptors_have_a_limit_and_closing_makes_room`, `preview1/hostile::an_address_at_the_edge_of_memory_is_a_fault_in_every_function` |
//! | G CVE-2026-27572, GHSA-243v-98vx-264h | too many fields | `host/denied::fields_have_a_limit_each_and_all_together` | none: no HTTP |
//! | G GHSA-c9gc-w9vx-w86p, GHSA-x84v-gj2h-g759 | writes beyond what was permitted, streams sized by the guest | `host/streams::a_write_beyond_the_permit_traps`, `host/streams::two_gigabytes_to_nowhere_cost_no_memory`, `host/streams::a_read_never_gives_more_than_a_chunk_whatever_was_asked_for`, `host/splice::a_peer_that_does_not_read_is_sent_no_more_than_the_system_and_one_permit_hold` | `preview1/limits::two_gigabytes_in_parts_that_overlap_cost_no_memory` |
//! | G GHSA-5m8g, GHSA-f8mm | empty writes | `host/streams::a_million_empty_writes_and_reads_cost_no_memory` | `preview1/calls::standard_streams_are_those_granted_byte_for_byte` |
//! | G GHSA-q554-3cjc-rx7p, GHSA-6fr9-xmw9-5352 | tables and borrows were not charged | `host/budgets::resources_have_the_limit_that_the_host_sets`, `cli/budgets::each_flag_moves_its_ceiling` | `preview1/rights::descriptors_have_a_limit_and_closing_makes_room` |
//! | G CVE-2026-27887 | an answer without end | `host/http::an_answer_without_end_is_read_piece_by_piece`, `host/http::an_answer_that_is_larger_than_allowed_is_an_error_wherever_it_shows` | none: no HTTP |
//! | I GHSA-96f6-r43r-8c24 | padding with the host's memory in it | none: the canonical ABI writes no padding | `preview1/files::directories_are_made_listed_and_removed`, `preview1/limits::gaps_in_records_are_zero_and_nothing_is_written_beside_them` |
//! | I CVE-2022-39393, CVE-2026-34988, CVE-2022-39392 | memory of the instance before | `cli/serve::each_request_is_answered_by_an_instance_of_its_own` | none: instances of modules are made once |
//! | J GHSA-j2g9-4prp-pf6h, GHSA-mr2v-56j5-cmfc | times that no system has, times before 1970 | `host/files::times_that_no_system_has_are_refused_and_times_before_1970_are_not_told` | `preview1/files::names_are_linked_renamed_and_read` |
//! | J GHSA-w4qr-p94g-mjhv | times of nothing | `host/http::times_of_nothing_are_over`, `host/clocks_and_random::a_timer_of_zero_is_ready_at_once_and_one_of_all_time_never` | `preview1/polling::the_earliest_clock_ends_the_wait` |
//! | J all | panics | `host/denied::a_handle_that_stands_for_no_socket_traps`, `host/serve::a_guest_that_panics_the_host_fails_its_own_request_only` | `preview1/hostile::no_sequence_of_calls_ends_the_host` |
//! | K GHSA-j366-h8gg-77pm | lists to wait for that cost nothing | `host/budgets::a_list_to_wait_for_has_a_limit_and_naming_one_thing_often_does_not_help` | `preview1/polling::a_list_is_bounded_by_memory_and_by_the_host` |
//! | K WT#11814 | a thread for each time-out | `host/network::ten_thousand_idle_pollables_wait_on_this_thread_alone`, `cli/budgets::ten_thousand_idle_pollables_take_no_threads` | `preview1/polling::a_wait_is_no_longer_than_the_deadline` |
//! | K all | waits that outlast the deadline | `host/deadlines::a_sleep_and_a_read_and_an_open_of_a_fifo_end_at_the_deadline`, `host/deadlines::a_write_to_a_full_pipe_ends_at_the_deadline`, `host/network::many_connections_that_nobody_reads_end_together_within_a_moment` | `preview1/limits::every_call_that_may_wait_ends_at_the_deadline` |
//! | L GHSA-r8xh-cgf7-392j, GHSA-h4wp-g4x3-7398, GHSA-9prg-84vf-g5fc | lengths that contradict each other | `host/http::lengths_that_contradict_each_other_are_not_sent`, `host/http::a_body_is_as_long_as_was_promised_or_the_other_side_learns_that_it_is_not`, `host/serve::requests_of_two_meanings_are_not_served`, `host/serve::an_answer_is_as_long_as_it_says_or_the_client_sees_that_it_is_not` | none: no HTTP |
//! | L GHSA-jxcf-8qw5-5c33 | trailers that speak of the connection | `host/http::a_request_goes_out_and_its_answer_comes_in_with_trailers`, `host/denied::what_is_no_field_and_what_is_the_hosts_own_are_refused` | none: no HTTP |
//! | L GHSA-w36r-2hch-9xp9, GHSA-5qpp-g3j2-8frx | long paths, paths that name another host | `host/denied::a_request_can_be_put_together_but_sending_it_is_denied` | none: no HTTP |
//! | L CVE-2024-32980 | the host to ask came from whoever had asked | `host/denied::a_request_names_its_host_itself_or_goes_nowhere`, `host/http::no_host_is_asked_but_those_that_are_granted` | none: no HTTP |
//! | L all | slow clients | `host/serve::a_client_that_does_not_say_what_it_wants_is_not_waited_for`, `host/serve::a_body_that_only_trickles_is_given_up` | none: no HTTP |

use std::fs;
use std::path::Path;

/// The rows of the table above: four cells each.
fn rows() -> Vec<[&'static str; 4]> {
    let lines = include_str!("advisories.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let cells = |line: &'static str| {
        let cells: Vec<_> = line.trim_end_matches('|').split(" | ").map(str::trim).collect();
        <[&str; 4]>::try_from(cells).unwrap_or_else(|cells| panic!("{} cells: {line}", cells.len()))
    };
    lines.map(cells).skip(1).collect()
}

/// The tests that a cell names: file, name.
fn tests(cell: &'static str) -> Vec<(&'static str, &'static str)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.map(|test| test.split_once("::").unwrap_or_else(|| panic!("no test: {test}"))).collect()
}

#[test]
fn each_advisory_has_its_tests_and_they_are_there() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rows = rows();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for [defect, _, ours, preview1] in rows {
        assert!(defect.starts_with(['E', 'F', 'G', 'I', 'J', 'K', 'L']), "{defect}");
        for cell in [ours, preview1] {
            let tests = tests(cell);
            assert!(!tests.is_empty() || cell.starts_with("none: "), "{defect}: neither a test nor why not");
            for (file, name) in tests {
                let path = match file.strip_prefix("cli/") {
                    Some(file) => format!("cli/tests/cli/{file}.rs"),
                    None => format!("wasi/tests/{file}.rs"),
                };
                let text =
                    fs::read_to_string(crates.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
                assert!(text.contains(&format!("fn {name}(")), "{defect}: {path} has no test {name}");
            }
        }
    }
}

/// A version as the lock file has it.
fn version(lock: &str, name: &str) -> Vec<Vec<u32>> {
    let head = format!("name = \"{name}\"\nversion = \"");
    let versions = lock.split(&head).skip(1).filter_map(|rest| rest.split('"').next());
    versions.map(|version| version.split('.').flat_map(str::parse).collect()).collect()
}

/// RUSTSEC-2026-0258, 2024-0332, 2023-0034 (h2); 2024-0336, 2024-0399 (rustls).
#[test]
fn what_speaks_for_us_is_no_older_than_its_advisories_ask() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    for (name, least) in [("h2", [0, 4, 17]), ("rustls", [0, 23, 18])] {
        let found = version(&lock, name);
        assert!(
            !found.is_empty() && found.iter().all(|version| version[..] >= least[..]),
            "{name} {found:?}"
        );
    }
    for absent in ["aws-lc-sys", "tungstenite"] {
        assert!(version(&lock, absent).is_empty(), "{absent} has advisories of its own");
    }
}
