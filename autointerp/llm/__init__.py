"""LLMs behind one protocol: OpenAI-compatible endpoints, the embedded server, a scripted fake."""
