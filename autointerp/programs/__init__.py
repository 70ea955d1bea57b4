"""The language of rules that explanations may be, and its safe regular expressions."""

from autointerp.programs.language import Program, parse_program

__all__ = ["Program", "parse_program"]
