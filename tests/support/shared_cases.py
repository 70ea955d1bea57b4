"""Which of our rows and tests show each case that others met, with variants of its kind.

A reference is ``TABLE/row`` for a row of ``endpoint_cases`` or ``reply_dresses``, or
``path::function`` for a test, from ``tests``.
"""

from __future__ import annotations

from dataclasses import dataclass

_ROOM = "unit/llm/test_room.py::"
_ADDRESSES = "unit/llm/test_addresses_of_services.py::"
_DRESSED = "unit/scorers/test_every_dress.py::"
_NEGOTIATED = "unit/llm/test_negotiation.py::"
_WRAPPED = "unit/subjects/test_wrapping.py::"
_SHAPES = "unit/subjects/test_architectures.py::"
_HUB = "unit/corpora/test_corpora_hub.py::"
_LONG = "unit/corpora/test_long_documents.py::"
_WHOLE = "unit/test_characters_of_several_tokens.py::"
_REDIS = "contract/test_redis_addresses.py::"
_NATIVE = "unit/subjects/test_native_models.py::"


@dataclass(frozen=True)
class SharedCase:
    """A case, and where it and others like it are shown."""

    name: str
    kind: str
    shown: str
    """The row or the test that is this case."""
    variants: tuple[str, ...]
    """Others of its kind: at least two."""


def _refusing(name: str, *variants: str) -> SharedCase:
    shown = f"REFUSING/{name}"
    return SharedCase(name, "an option is refused", shown, tuple(f"REFUSING/{v}" for v in variants))


def _answering(name: str, *variants: str) -> SharedCase:
    found = tuple(v if "/" in v else f"ANSWERING/{v}" for v in variants)
    return SharedCase(name, "a good answer in another body", f"ANSWERING/{name}", found)


def _failing(name: str, kind: str, *variants: str) -> SharedCase:
    return SharedCase(name, kind, f"FAILING/{name}", tuple(f"FAILING/{v}" for v in variants))


def _filtering(name: str, *variants: str) -> SharedCase:
    found = tuple(f"FILTERING/{v}" for v in variants)
    return SharedCase(name, "a filter stops a prompt or a reply", f"FILTERING/{name}", found)


def _thinking(name: str, shown: str, *variants: str) -> SharedCase:
    return SharedCase(name, "thoughts around an answer", shown, variants)


_TEMPERATURE = ("temperature_in_chinese", "temperature_without_words", "temperature_404_page")
_SEED = ("seed_in_japanese", "seed_bare_text", "seed_in_bytes")
_SYSTEM = ("no_system_role_template_error", "no_system_role_in_russian")
_CUT = ("half_a_reply_blocked", "the_native_reason", "beside_a_sentence")
_STARVED = (f"{_ROOM}test_more_room_is_what_the_endpoint_then_states", "STARVING/a_least")

ENDPOINTS = (
    _refusing("temperature_deprecated", *_TEMPERATURE),
    _refusing("temperature_deprecated_nested", "temperature_in_a_200", "temperature_500"),
    _refusing("temperature_one_value", "temperature_as_text_in_a_200", "two_of_sampling"),
    _refusing("logprobs_403", "logprobs_in_german", "logprobs_500_page", "logprobs_409"),
    _refusing("seed_422_message_object", *_SEED),
    _refusing("seed_422_message_list", "seed_in_a_list_of_responses", "seed_by_a_filter"),
    _refusing("error_array_seed", "seed_in_a_list_of_responses", "seed_in_bytes"),
    _failing(
        "error_array_429", "an error that passes", "wait_in_words", "wait_in_a_field_retryAfter"
    ),
    _refusing("no_system_role", *_SYSTEM),
    _refusing("no_system_role_must_alternate", *_SYSTEM, "developer_in_place_of_system"),
    SharedCase(
        "starved_told_as_400",
        "too little room",
        "REFUSING/starved_told_as_400",
        ("REFUSING/starved_without_words", "STARVING/a_budget", "STARVING/a_least"),
    ),
    SharedCase(
        "raised_limit_over_context",
        "too little room",
        f"{_ROOM}test_a_starved_reply_gets_the_room_that_there_is",
        (*_STARVED, f"{_ROOM}test_room_is_read_from_the_numbers_alone"),
    ),
    SharedCase(
        "raised_limit_over_output_cap",
        "too little room",
        f"{_ROOM}test_a_starved_reply_gets_the_room_that_there_is",
        (*_STARVED, f"{_ROOM}test_a_reply_that_may_be_shorter_only_is_asked_for_within_that"),
    ),
    _refusing("schema_feature_unsupported", "schema_404_in_french", "schema_413"),
    _answering("usage_float_and_text", "usage_nonsense", "usage_list", "usage_null"),
    _answering("usage_fraction", "usage_nonsense", "usage_of_input"),
    _answering("done_behind_json", "done_at_once_behind_json", "data_before_json"),
    _answering("stream_not_asked", "stream_of_bare_lines", "stream_of_anthropic"),
    _answering("bom", "utf_16", "guarded_json", "nulls_before"),
    _failing("string_error_in_200", "an error that lasts", "detail_in_200", "capitals"),
    _thinking(
        "thinking_text_part",
        "ANSWERING/thinking_text_part",
        "ANSWERING/thinking_part_of_parts",
        "ANSWERING/thought_flag",
    ),
    _answering("content_list_of_strings", "content_object", "content_of_parts"),
    _thinking(
        "reasoning_in_content_channel_markers",
        "DRESSES/channels",
        "DRESSES/channels_without_their_marks",
        "DRESSES/commentary_to_a_tool",
    ),
    _thinking(
        "reasoning_in_content_think_brackets",
        "DRESSES/brackets",
        "DRESSES/in_brackets_twice",
        "DRESSES/triangles",
    ),
    _thinking(
        "reasoning_in_content_closing_think_only",
        "DRESSES/unopened",
        "DRESSES/unopened_brackets",
        "DRESSES/unopened_token",
    ),
    _thinking(
        "reasoning_in_content_think_tags_yes_no",
        "DRESSES/think",
        "DRESSES/scratchpad",
        "DRESSES/a_name_never_heard_of",
    ),
    _thinking(
        "answer_only_in_reasoning",
        f"{_ROOM}test_an_answer_only_in_the_thoughts_is_none_and_gets_more_room_where_it_was_starved",
        f"{_DRESSED}test_an_answer_in_thoughts_alone_fails_and_says_so",
        f"{_DRESSED}test_an_answer_in_the_field_for_thoughts_alone_fails_and_says_so",
    ),
    _filtering("content_filter_whole_json", "half_a_reply_flagged", "the_native_reason"),
    _filtering("content_filter_half", *_CUT),
    _filtering("content_filter_null", "content_filter_null_by_name", "no_message", "only_a_flag"),
    _filtering("message_refusal", "message_refusal_in_german", "anthropic"),
    _answering("logprobs_list", "logprobs_text", "logprobs_without_numbers"),
    _answering("top_logprobs_mapping", "top_logprobs_pairs", "top_logprobs_mapping_of_objects"),
    SharedCase(
        "logprobs_in_some_replies",
        "a good answer in another body",
        f"{_DRESSED}test_a_score_is_made_in_one_way",
        (
            f"{_DRESSED}test_a_score_that_grows_is_made_in_one_way_too",
            "ANSWERING/logprobs_of_another_text",
        ),
    ),
    SharedCase(
        "prompt_tokens_too_few",
        "too little room",
        f"{_ROOM}test_a_cut_prompt_is_noticed_and_its_replies_are_not_scored",
        (
            f"{_ROOM}test_the_same_round_number_for_other_prompts_is_a_cut",
            f"{_ROOM}test_a_prompt_that_does_not_fit_says_so_and_the_context_is_known",
        ),
    ),
    _failing("choices_null_429", "an error that passes", "named_status", "status_of_429_in_a_200"),
    _failing("choices_null_401", "an error that lasts", "choices_null_402", "list_of_errors"),
    _failing("finish_reason_error", "an error that passes", "ended_by_abort", "failed_openrouter"),
    SharedCase(
        "address_with_query",
        "an address as it is typed",
        "SERVICES/Azure OpenAI",
        (
            f"{_ADDRESSES}test_what_is_pasted_for_an_address_leads_to_it",
            f"{_ADDRESSES}test_a_name_that_is_that_of_a_method_stays",
        ),
    ),
    SharedCase(
        "address_ends_in_chat_completions",
        "an address as it is typed",
        "SERVICES/llama.cpp",
        (
            f"{_ADDRESSES}test_what_was_pasted_around_an_address_does_not_matter",
            "SERVICES/LM Studio, without /v1",
        ),
    ),
    SharedCase(
        "api_key_header",
        "an address as it is typed",
        f"{_ADDRESSES}test_a_key_in_another_header_is_pointed_at",
        ("SERVICES/Azure OpenAI", "SERVICES/OpenRouter"),
    ),
)
"""Cases of LLM endpoints."""

SUBJECTS = (
    SharedCase(
        "20_moe_block_output_as_neurons",
        "experts are not neurons of their block",
        f"{_SHAPES}test_a_mixture_of_experts_has_no_neurons_and_a_dense_layer_beside_it_has",
        (
            f"{_SHAPES}test_experts_in_a_list_are_no_neurons_whatever_their_class_is_called",
            "unit/subjects/test_experts_beside.py::"
            "test_what_leaves_experts_under_another_name_is_no_neuron_either",
        ),
    ),
    SharedCase(
        "20b_mixed_moe_dense_layer_logit_effects",
        "experts are not neurons of their block",
        f"{_SHAPES}test_logit_effects_of_a_dense_layer_beside_experts_are_those_of_its_weights",
        (
            "unit/subjects/test_experts_beside.py::"
            "test_logit_effects_of_both_go_through_their_own_norms",
            "unit/subjects/test_plain_models.py::"
            "test_experts_of_a_class_without_adapter_are_read_and_its_dense_layer_too",
        ),
    ),
    SharedCase(
        "21_in_memory_architecture_refused_though_supported",
        "models from memory and their shapes",
        f"{_SHAPES}test_a_model_from_memory_is_read_as_it_computes_itself",
        (
            f"{_SHAPES}test_a_class_of_ones_own_is_read_as_the_class_it_extends",
            "unit/subjects/test_plain_models.py::"
            "test_a_model_without_adapter_is_read_as_it_computes_itself",
        ),
    ),
    SharedCase(
        "21b_falcon_new_decoder_traceback",
        "models from memory and their shapes",
        f"{_SHAPES}test_both_decoders_of_falcon_are_read_as_the_model_computes_them",
        (
            f"{_WRAPPED}test_a_model_whose_sizes_do_not_fit_each_other_is_refused_with_them",
            f"{_SHAPES}"
            "test_a_model_of_which_transformer_lens_makes_another_is_read_at_its_own_modules",
        ),
    ),
    SharedCase(
        "22_tokenizer_has_more_ids_than_the_model",
        "tokens and files of tokenizers",
        f"{_WRAPPED}test_tokens_beyond_the_embedding_are_refused_at_the_text_that_needs_them",
        (
            f"{_WRAPPED}test_tokens_beyond_the_embedding_that_come_as_ids_are_refused_too",
            f"{_WRAPPED}test_a_bos_beyond_the_embedding_is_refused_and_more_rows_than_ids_are_fine",
        ),
    ),
    SharedCase(
        "23_tokenizer_json_of_a_newer_version",
        "tokens and files of tokenizers",
        "unit/subjects/test_subject_folders.py::test_a_tokenizer_file_that_cannot_be_read_is_named",
        (
            "unit/subjects/test_subject_folders.py::"
            "test_a_merge_of_tokens_that_do_not_exist_is_named",
            "unit/subjects/test_model_files.py::"
            "test_a_tokenizer_that_is_missing_or_code_is_not_called_damaged",
        ),
    ),
    SharedCase(
        "24_bidirectional_models_are_read_as_causal",
        "models that are not causal",
        f"{_WRAPPED}test_a_model_that_reads_both_ways_is_refused_by_its_class",
        (
            f"{_WRAPPED}test_a_model_that_hardly_looks_ahead_is_refused_too",
            f"{_WRAPPED}test_a_model_that_padding_changes_is_noticed",
        ),
    ),
    SharedCase(
        "26_mixed_dtypes",
        "dtypes",
        f"{_WRAPPED}test_the_dtype_that_is_recorded_is_that_of_the_mlp",
        (
            f"{_WRAPPED}test_a_dtype_of_some_other_part_is_not_recorded",
            f"{_WRAPPED}test_dtypes_that_do_not_go_together_are_named_when_the_model_is_read",
        ),
    ),
    SharedCase(
        "28_wrapping_changes_the_users_model",
        "the model stays its owner's",
        f"{_WRAPPED}test_a_wrapped_model_stays_as_it_was",
        (
            f"{_WRAPPED}test_tied_weights_and_hooks_of_ones_own_are_kept",
            f"{_WRAPPED}test_the_revision_of_the_same_weights_is_the_same_however_they_are_wrapped",
        ),
    ),
    SharedCase(
        "29_parquet_string_view",
        "files of texts",
        "unit/corpora/test_corpora_files.py::test_every_row_of_a_parquet_file_is_read_once",
        (
            "unit/corpora/test_saved_datasets.py::"
            "test_feather_files_and_streams_are_read_by_their_rows",
            "unit/corpora/test_corpora_files.py::test_a_parquet_column_of_numbers_is_refused",
        ),
    ),
    SharedCase(
        "30_stream_breaks_inside_a_data_set",
        "streams that break",
        f"{_HUB}test_a_stream_that_breaks_inside_says_how_much_was_read",
        (
            f"{_HUB}test_a_connection_that_breaks_inside_can_be_tried_again",
            f"{_HUB}test_a_compressed_file_that_is_cut_short_is_kept_up_to_there_when_asked",
        ),
    ),
    SharedCase(
        "31_one_long_document",
        "long documents",
        f"{_LONG}test_no_more_is_tokenized_than_the_tokens_asked_for_need",
        (
            f"{_LONG}test_a_corpus_of_long_documents_reads_as_much_as_it_needs_and_shows_progress",
            f"{_LONG}test_one_long_document_is_refused_after_a_small_part_of_it_is_read",
        ),
    ),
    SharedCase(
        "32_characters_that_span_tokens",
        "characters of several tokens",
        f"{_WHOLE}test_a_label_of_a_real_run_holds_no_replacement_character",
        (
            f"{_WHOLE}test_judges_are_shown_whole_characters_and_a_mark_holds_all_of_one",
            f"{_WHOLE}test_the_terminal_paints_whole_characters",
        ),
    ),
    SharedCase(
        "33_rediss_broker_is_not_verified",
        "addresses of Redis",
        f"{_REDIS}test_each_connection_verifies_the_certificate_of_its_server",
        (
            f"{_REDIS}test_doctor_says_that_a_certificate_is_not_trusted",
            "unit/store/test_redis_address_parts.py::"
            "test_a_file_of_certificates_that_is_none_is_told_before_a_server_is_asked",
        ),
    ),
    SharedCase(
        "34_redis_password_is_shown",
        "addresses of Redis",
        "unit/test_settings.py::"
        "test_a_password_that_cuts_an_address_is_asked_for_encoded_and_not_shown",
        (
            "unit/test_settings.py::test_an_address_that_the_two_clients_read_differently_is_refused",
            "unit/store/test_redis_address_parts.py::test_no_value_of_an_option_is_shown",
        ),
    ),
    SharedCase(
        "35_redis_that_evicts_is_not_warned_of",
        "a Redis that does not keep",
        f"{_REDIS}test_a_redis_that_evicts_is_told_by_doctor_and_by_the_stores",
        (
            f"{_REDIS}test_a_redis_that_is_full_is_told_by_doctor_and_by_the_stores",
            f"{_REDIS}test_a_redis_that_takes_no_jobs_is_told_by_doctor_and_by_readiness",
        ),
    ),
    SharedCase(
        "solu_units_and_steering",
        "native models",
        f"{_NATIVE}test_neurons_of_solu_are_read_before_its_layer_norm",
        (
            f"{_NATIVE}test_native_models_are_steered_as_far_as_asked",
            f"{_NATIVE}test_logit_effects_from_before_the_layer_norm_go_through_it",
        ),
    ),
)
"""Cases of subject models, of texts and of the service."""
