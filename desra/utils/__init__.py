"""What every part of desra uses: errors, devices, processes, threads, tables for a terminal."""
