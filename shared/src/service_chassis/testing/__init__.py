"""What the tests of every package share: fixtures, servers, waiting, and suites that adapters are held to."""
