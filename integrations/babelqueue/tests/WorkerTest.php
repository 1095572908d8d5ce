<?php

declare(strict_types=1);

namespace Amqp1\BabelQueue\Tests;

use Amqp1\Tests\Support\AdapterTestCase;

/** Workers that are killed, stopped and cut off, and ten thousand jobs. */
final class WorkerTest extends AdapterTestCase
{
    use Application;
}
