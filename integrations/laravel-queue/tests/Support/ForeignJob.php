<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests\Support;

use Amqp1\Laravel\Amqp1Job;

/** Messages of other programs, as docs/laravel.md shows it. */
class ForeignJob extends Amqp1Job
{
    public function payload()
    {
        return ['job' => 'App\\' . $this->getTask()->getName() . '@handle', 'data' => $this->getTask()->getPayload()];
    }
}
