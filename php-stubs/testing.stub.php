<?php

// Amqp1\Testing\advanceClock(): see amqp1.stub.php. The classes of Amqp1\Testing are PHP: see php/Testing.

namespace Amqp1\Testing;

/**
 * Moves the clock of the embedded brokers (embedded://) of this process forward, for tests: jobs whose delay has passed by
 * then become ready, and TTLs, pauses between attempts, locks and consumer timeouts pass.
 *
 * It stays moved. From then on, connecting to any other broker throws an UnsupportedException: run such a test in a process
 * of its own (#[RunInSeparateProcess]). PHP's own clock, and the timeouts of calls, do not move.
 *
 * @param float $seconds 0 or more.
 *
 * @throws \Amqp1\Exception\UnsupportedException this process is connected to another broker
 * @throws \Amqp1\Exception\ConfigException a negative number
 */
function advanceClock(float $seconds): void
{
}
