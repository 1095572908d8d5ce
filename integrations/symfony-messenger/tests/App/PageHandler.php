<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

use Symfony\Component\Messenger\Handler\Acknowledger;
use Symfony\Component\Messenger\Handler\BatchHandlerInterface;
use Symfony\Component\Messenger\Handler\BatchHandlerTrait;

/** Ten pages at a time. */
final class PageHandler implements BatchHandlerInterface
{
    use BatchHandlerTrait;

    public function __invoke(Page $page, ?Acknowledger $ack = null): mixed
    {
        return $this->handle($page, $ack);
    }

    private function process(array $jobs): void
    {
        file_put_contents(getenv('APP_VAR') . '/work.log', 'batch ' . count($jobs) . "\n", FILE_APPEND | LOCK_EX);
        foreach ($jobs as [$page, $ack]) {
            $page->number < 0 ? $ack->nack(new \DomainException('no such page')) : $ack->ack(true);
        }
    }
}
