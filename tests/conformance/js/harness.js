// Hands the results of testharness.js over, and gives each test a time limit of its own, so that
// one which hangs doesn't take along those behind it.
"use strict";

const { ask, makeDocument } = __bridge;

const timeLimit = ask("limit");
const limited = new Set();

add_test_state_callback(test => {
  if (test.phase !== test.phases.STARTED || limited.has(test)) return;
  limited.add(test);
  setTimeout(() => {
    if (test.phase < test.phases.HAS_RESULT) test.timeout();
  }, timeLimit);
});

add_completion_callback((tests, status) => {
  const statuses = ["PASS", "FAIL", "TIMEOUT", "NOTRUN", "PRECONDITION_FAILED"];
  ask("results", {
    status: status.status === 0 ? "OK" : "ERROR",
    message: status.message ?? null,
    tests: tests.map(test => ({
      name: test.name, status: statuses[test.status], message: test.message ?? null,
    })),
  });
});

setup({ explicit_timeout: true });
makeDocument();
