<?php

declare(strict_types=1);

namespace Amqp1\Worker;

/** Why a job failed whose handler ended the process: it called exit, or PHP gave up, as when memory runs out. */
final class ProcessEnded extends \RuntimeException
{
}
