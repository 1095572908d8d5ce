<?php

declare(strict_types=1);

namespace Amqp1\Worker;

/** Why Worker::run() ended. */
enum StopReason: string
{
    /** SIGTERM, SIGINT or SIGQUIT. */
    case Signal = 'signal';

    /** Worker::stop() was called. */
    case Stopped = 'stopped';

    case MaxJobs = 'max_jobs';
    case MaxRuntime = 'max_runtime';
    case MemoryLimit = 'memory_limit';

    /** stopWhenEmpty, and no job came. */
    case Empty = 'empty';

    /** The broker did not come back within reconnectTimeout. */
    case BrokerLost = 'broker_lost';
}
