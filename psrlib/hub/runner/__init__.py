"""How jobs run: choosing engines, the life of a run, reports from engines, failover."""
