"""The dresses in which models put thoughts before an answer, as data: the next one is a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dress:
    """What stands around thoughts and an answer."""

    name: str
    form: str
    """With ``DECOY`` where the thoughts hold a value of the right shape, and ``ANSWER``."""

    def text(self, answer: str, *, decoy: str) -> str:
        """A whole reply."""
        return self.form.replace("DECOY", decoy).replace("ANSWER", answer)


DRESSES = (
    Dress("nothing", "ANSWER"),
    Dress("think", "<think>DECOY</think>\nANSWER"),
    Dress("think_of_lines", "<think>\nOkay.\nDECOY\n</think>\n\nANSWER"),
    Dress("unopened", "DECOY</think>ANSWER"),
    Dress("unopened_brackets", "DECOY [/THINK]ANSWER"),
    Dress("unopened_token", "DECOY<|end_of_thought|>\nANSWER"),
    Dress("brackets", "[THINK]DECOY[/THINK]ANSWER"),
    Dress("triangles", "◁think▷DECOY◁/think▷ANSWER"),
    Dress("wide_bars", "<｜begin▁of▁thinking｜>DECOY<｜end▁of▁thinking｜>ANSWER"),
    Dress("with_namespace", "<seed:think>DECOY</seed:think>ANSWER"),
    Dress("capitals", "<|START_THINKING|>DECOY<|END_THINKING|><|START_RESPONSE|>ANSWER"),
    Dress("thought_token", "<|begin_of_thought|>DECOY<|end_of_thought|>\n\nANSWER"),
    Dress(
        "channels",
        "<|channel|>analysis<|message|>DECOY<|end|>"
        "<|start|>assistant<|channel|>final<|message|>ANSWER<|return|>",
    ),
    Dress("channels_without_their_marks", "analysisDECOYassistantfinalANSWER"),
    Dress("half_marks", "<|channel>thought\nDECOY<channel|>ANSWER"),
    Dress("details", '<details type="reasoning" done="true">\nDECOY\n</details>\nANSWER'),
    Dress("scratchpad", "<scratchpad>DECOY</scratchpad>\nANSWER"),
    Dress("a_name_never_heard_of", "<musing>well, DECOY</musing>ANSWER"),
    Dress("answer_in_an_element", "<reflection>DECOY</reflection>\n<answer>ANSWER</answer>"),
    Dress("nested", "<think>a <think>DECOY</think> b</think>ANSWER"),
    Dress("mismatched", "<thinking>DECOY</think>\nANSWER"),
    Dress("twice", "<think>DECOY</think>\n<think>or DECOY</think>\nANSWER"),
    Dress("behind_a_template_mark", "<think>DECOY</think>ANSWER<|im_end|>"),
    Dress("boxed", "<think>DECOY</think>\n<|begin_of_box|>ANSWER<|end_of_box|>"),
    Dress(
        "told_budget",
        "<seed:think><seed:cot_budget_reflect>12 tokens are used.</seed:cot_budget_reflect>"
        "DECOY</seed:think>ANSWER",
    ),
    Dress(
        "commentary_to_a_tool",
        "<|channel|>analysis<|message|>DECOY<|end|><|start|>assistant<|channel|>commentary "
        "to=functions.json <|constrain|>json<|message|>DECOY<|call|><|start|>assistant"
        "<|channel|>final <|constrain|>json<|message|>ANSWER",
    ),
    Dress("prefix_and_suffix", "<|inner_prefix|>DECOY<|inner_suffix|>ANSWER"),
    Dress("never_ended", "<reasoning>\nDECOY\n\n<answer>ANSWER</answer>"),
    Dress(
        "details_with_summary",
        '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 s</summary>\n'
        "> DECOY\n</details>\nANSWER",
    ),
    Dress("start_and_end", "<|reasoning_start|>DECOY<|reasoning_end|>ANSWER"),
    Dress("code", "<think>\n```json\nDECOY\n```\n</think>\n```json\nANSWER\n```"),
    Dress("begun_answer", "<|assistant_thinking|>DECOY<|assistant_final|>ANSWER"),
    Dress("empty_tag", "<think/>ANSWER"),
    Dress("headings", "### Thought\nDECOY\n### Answer\nANSWER"),
    Dress("in_html", "<p><think>DECOY</think></p>ANSWER"),
    Dress("doubled_brackets", "<<think>>DECOY<</think>>ANSWER"),
    Dress("labels", "Thought: DECOY.\n\nFinal answer: ANSWER"),
    Dress("fenced", "```thinking\nDECOY\n```\nANSWER"),
    Dress("in_parentheses", "(thinking) DECOY (/thinking) ANSWER"),
    Dress("in_parentheses_of_lines", "(thinking)\nDECOY\n(/thinking)\nANSWER"),
    Dress("in_braces", "{thinking}DECOY{/thinking}ANSWER"),
    Dress("in_braces_twice", "{{thinking}}DECOY{{/thinking}}ANSWER"),
    Dress("in_stars", "*thinking*\nDECOY\n*/thinking*\nANSWER"),
    Dress("in_brackets_twice", "[[think]]DECOY[[/think]]ANSWER"),
    Dress("in_another_script", "【思考】DECOY【/思考】ANSWER"),
    Dress("in_wide_parentheses", "（思考）DECOY（/思考）ANSWER"),
    Dress("escaped", "&lt;think&gt;DECOY&lt;/think&gt;ANSWER"),
    Dress("wide_tags", "＜think＞DECOY＜/think＞ANSWER"),
    Dress("dashes", "---thinking---\nDECOY\n---end thinking---\nANSWER"),
    Dress("percents", "%%musing%%DECOY%%/musing%%ANSWER"),
    Dress("bars", "|think|DECOY|/think|ANSWER"),
    Dress("start_and_end_in_words", "(start thinking) DECOY (end thinking) ANSWER"),
    Dress("blanks_within", "< think >DECOY< / think >ANSWER"),
    Dress("broken_lines_within", "<thinking\n>DECOY</thinking\n>ANSWER"),
    Dress("backslash", "<think>DECOY<\\think>ANSWER"),
    Dress("never_a_slash", "<think>DECOY<think>ANSWER"),
    Dress("unopened_parentheses", "DECOY(/thinking)ANSWER"),
    Dress("comment", "<!-- DECOY -->\nANSWER"),
    Dress("latex", "\\begin{thinking}\nDECOY\n\\end{thinking}\nANSWER"),
    Dress("tildes", "~~~thinking\nDECOY\n~~~\nANSWER"),
    Dress("colons", ":::thinking\nDECOY\n:::\nANSWER"),
    Dress("one_line", "(thinking: DECOY)\nANSWER"),
    Dress("headings_of_signs", "== Thinking ==\nDECOY\n== Answer ==\nANSWER"),
    Dress("in_another_language", "[denken]DECOY[/denken]ANSWER"),
    Dress("of_a_terminal", "Thinking...\nDECOY\n...done thinking.\n\nANSWER"),
    Dress("label_of_a_process", "Thinking Process:\n1. DECOY\n\nFinal Answer: ANSWER"),
    Dress("headings_of_hashes", "###Reasoning###\nDECOY\n###Response###\nANSWER"),
    Dress(
        "headings_of_a_program",
        "[[ ## reasoning ## ]]\nDECOY\n\n[[ ## answer ## ]]\nANSWER\n\n[[ ## completed ## ]]",
    ),
    Dress(
        "turns_of_a_template",
        "<|im_start|>think\nDECOY<|im_end|>\n<|im_start|>answer\nANSWER<|im_end|>",
    ),
    Dress("turns_without_their_marks", "think\nDECOY\nanswer\nANSWER"),
    Dress("slash_behind_bars", "<|thinking|>DECOY<|/thinking|>ANSWER"),
    Dress("a_rule_between", "Thinking:\nDECOY\n\n---\n\nANSWER"),
    Dress("bold_headings", "**Thought process**\n\nDECOY\n\n**Answer**\n\nANSWER"),
    Dress("comments_around", "<!--think-->DECOY<!--/think-->ANSWER"),
    Dress("character_data", "<think>DECOY</think>\n<result><![CDATA[ANSWER]]></result>"),
    Dress("signed", "<think>DECOY</think>\nANSWER\n\n---\n*An assistant, model 7*"),
    Dress("said_twice", "<think>DECOY</think>\nANSWER\n\nANSWER"),
    Dress("quoted", "> Thinking it through.\n> DECOY\n\nANSWER"),
)
NO_ANSWERS = (
    "<think>maybe yes</think>",
    "<think>maybe yes",
    "maybe yes</think>\n",
    "[THINK]yes[/THINK]",
    "◁think▷yes◁/think▷",
    "<thinking>yes\n\nyes",
    "<|channel|>analysis<|message|>yes<|end|>",
    "<|channel|>analysis<|message|>the answer is yes",
    "<|START_THINKING|>yes<|END_THINKING|>",
    "<|inner_prefix|>yes<|inner_suffix|>",
    "<reasoning>\nyes <answer>yes</answer> or so",
    "<reasoning>yes</reasoning>\n<reflection>yes</reflection>",
    "(thinking) yes (/thinking)",
    "{thinking}yes{/thinking}",
    "<!-- yes -->",
    "[[think]]yes[[/think]]",
)
"""Replies that hold thoughts and no answer."""
