"""The two tokens of the control API's tests."""

from interlock.registry.control.tokens import Tokens

AGENT, PERSON = "agent-token-of-the-tests-1", "person-token-of-the-tests-2"
TOKENS = Tokens(agent=AGENT, person=PERSON)
