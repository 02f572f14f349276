"""Extensions as an application would have them, and what is true of every one."""
