"""A Llama of random weights, saved as a folder: a model with as many neurons as a plan is held to.

With the tokenizer of a folder that is there; 131,072 neurons in 8 layers unless told otherwise:

    python benchmarks/random_llama.py --tokenizer SMOLLM2 --out /tmp/wide
    autointerp plan /tmp/wide --units all --tokens 8192 --llm none
    python benchmarks/whole_job.py --out /tmp/job -- /tmp/wide --units all --tokens 8192 --llm none
"""

from __future__ import annotations

import argparse

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM


def main() -> None:
    """Writes the model and its tokenizer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokenizer", required=True, help="a folder or name")
    parser.add_argument("--out", required=True)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--d-model", type=int, default=128)
    parser.add_argument("--neurons", type=int, default=16_384, help="a layer")
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.tokenizer)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=given.d_model,
        intermediate_size=given.neurons,
        num_hidden_layers=given.layers,
        num_attention_heads=max(1, given.d_model // 64),
        num_key_value_heads=max(1, given.d_model // 64),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main()
