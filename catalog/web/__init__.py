"""Pages for people: server-rendered, Chinese first, without scripts. They show and never decide; texts are messages."""
