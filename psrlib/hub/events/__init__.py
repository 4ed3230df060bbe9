"""What happens by itself when something happens: triggers, conditions, actions."""
