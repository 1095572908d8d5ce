<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

final class NoHandler
{
}
