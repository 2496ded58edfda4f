"""What every service is made of: settings, command line, log, signals, health."""
