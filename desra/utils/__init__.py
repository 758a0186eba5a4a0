"""What all parts of desra use: errors, devices, processes, threads, tables for a terminal."""
