"""Stand-ins for what the studio speaks to: real servers on the loopback that check, answer, fail and bill."""
