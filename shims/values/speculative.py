"""Speculative decoding: which of vLLM's methods SGLang has, and what each key of vLLM's configuration means there.
From vLLM 0.8.5, 0.11.0 and 0.33.0 and SGLang 0.5.23; `shims.flags.speculative` reads it.
"""

from __future__ import annotations

ALGORITHM = {
    "dflash": "DFLASH",
    "draft_model": "STANDALONE",
    "dspark": "DSPARK",
    "eagle": "EAGLE",
    "eagle3": "EAGLE3",
    "mtp": "NEXTN",  # and every `..._mtp`: vLLM 0.33.0 takes them for it
    "ngram": "NGRAM",
    "ngram_gpu": "NGRAM",
}
# Without them the answers are the same and come slower: the model itself checks every token.
ONLY_SLOWER = ("medusa", "mlp_speculator", "suffix")
NEEDS_A_DRAFT = ("EAGLE", "EAGLE3", "STANDALONE", "DFLASH")
CHAINS = ("EAGLE", "EAGLE3", "NEXTN", "STANDALONE")

# By the name of a draft, where no method was given; in vLLM 0.33.0's order.
METHOD_BY_NAME = (("eagle-", "eagle"), ("eagle3", "eagle3"), ("dflash", "dflash"), ("dspark", "dspark"))

# Keys and what they hold; `Speculation` reads them and `flags.speculative` translates them.
WORDS = (
    *("method", "model", "revision", "code_revision", "quantization", "attention_backend", "moe_backend"),
    *("kv_cache_dtype", "rejection_sample_method", "acceptance_method"),
)
COUNTS = ("num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min")
OTHERS = ("use_heterogeneous_vocab", "draft_load_config", "synthetic_acceptance_rates", "synthetic_acceptance_length")
# They change how many drafted tokens are taken or how fast they come, and never the answer.
SPEED_ONLY = (
    *("enforce_eager", "draft_tensor_parallel_size", "max_model_len", "index_share_for_mtp_iteration"),
    *("disable_padded_drafter_batch", "disable_eagle_block_drop", "disable_lookahead_block_hashes"),
    *("draft_lm_head_quantization", "use_local_argmax_reduction", "parallel_drafting", "draft_sample_method"),
    *("num_speculative_tokens_per_batch_size", "enable_adaptive_verification", "dspark_draft_topk", "xpress_topc"),
    *("suffix_decoding_max_tree_depth", "suffix_decoding_max_cached_requests"),
    *("suffix_decoding_max_spec_factor", "suffix_decoding_min_token_prob"),
    *("fly_window_size", "fly_entropy_threshold", "fly_entropy_top_k"),  # of the `fly` method alone, which is refused
    *("disable_by_batch_size", "disable_logprobs", "disable_mqa_scorer", "speculative_token_tree"),  # 0.8 and 0.11
    *("posterior_threshold", "posterior_alpha"),  # of 0.8's typical acceptance alone, which is refused
)
KEYS = (*WORDS, *COUNTS, *OTHERS, *SPEED_ONLY)
# Which drafted tokens are taken: exactly those that the model itself would have said, or not.
EXACT = ("standard", "block", "rejection_sampler")
INEXACT = ("synthetic", "fly", "typical_acceptance_sampler")

DRAFT_ATTENTION = ("flashinfer", "triton", "trtllm_mha")  # of `values.attention`, what a draft can have
