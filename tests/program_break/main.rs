//! The heap on the real program break, and what others may do to it.
//!
//! The break is the whole process's, and can be taken over from glibc only while no thread runs. So each
//! row is a process of its own: this program, started again by [`harness`] with the row's name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod foreign;
mod ground;
mod harness;
mod refused;
mod simulated;
mod take_over;
mod trimmed;
mod zeroed;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(rows![
        foreign::b06_foreign_bytes_are_fenced_and_never_touched,
        foreign::b06_two_moves_between_growths_make_one_fence,
        foreign::b06_a_fence_stays_apart_from_what_is_free_around_it,
        foreign::b06_the_row_goes_up_to_the_fence,
        foreign::b06_a_foreign_move_before_the_first_block_moves_the_base,
        foreign::b07_a_move_up_and_down_again_leaves_no_trace,
        foreign::b08_a_break_below_the_end_is_found_at_the_next_growth,
        foreign::b08_a_break_below_blocks_is_found_by_the_check,
        foreign::b08_a_break_below_the_base_is_found_by_the_check,
        foreign::b13_a_child_in_our_memory_that_raises_the_break_is_fenced,
        foreign::b13_a_child_in_our_memory_that_lowers_the_break_is_found,
        refused::b02_b03_by_the_limit_on_data,
        refused::b02_b03_by_the_limit_on_address_space,
        refused::b02_b03_by_the_limit_on_locked_memory,
        refused::b02_b03_b12_by_a_mapping_above_the_break,
        refused::b12_a_mapping_above_stops_a_block_from_growing_in_place,
        refused::b12_the_last_pages_below_a_mapping_are_used,
        refused::b12_a_mapping_above_before_the_first_block,
        simulated::b05_an_answer_above_what_was_asked_is_fenced,
        simulated::b05_answers_above_for_ever_are_a_refusal,
        simulated::b05_an_answer_that_is_no_address_is_a_refusal,
        simulated::b05_a_filter_installed_later_is_a_refusal,
        simulated::b06_any_mix_of_operations_and_foreign_moves,
        simulated::growth_asks_the_kernel_twice_for_128_kib_at_most,
        take_over::b09_a_break_that_is_not_aligned,
        take_over::b10_the_first_block_when_the_area_has_no_bytes,
        take_over::malloc_goes_on_and_leaves_the_break_alone,
        take_over::refused_while_other_threads_run,
        take_over::refused_a_second_time,
        take_over::refused_when_somebody_else_moved_the_break,
        trimmed::b11_the_break_falls_behind_the_last_block,
        trimmed::b11_the_break_never_falls_past_foreign_bytes,
        trimmed::pages_of_free_blocks_go_back_and_the_break_stays,
        zeroed::a08_recycled_and_fresh_memory,
        zeroed::a08_memory_regrown_within_a_page,
        zeroed::a08_a_page_that_was_dirty_before_us,
        zeroed::a08_a_page_that_was_dirty_behind_a_fence,
    ])
}
