<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop\Tests;

use Amqp1\Tests\Support\AdapterBrokerTestCase;
use PHPUnit\Framework\Attributes\Group;

/**
 * RabbitMQ is killed while a worker works.
 *
 * @group alone
 */
#[Group('alone')]
final class BrokerKilledTest extends AdapterBrokerTestCase
{
    use Application;
}
